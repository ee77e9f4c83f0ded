

def read_weights(path):
    """The state of a safetensors file of such a network, for load_state_dict."""
    with open(path, "rb") as f:
        header = json.loads(f.read(int.from_bytes(f.read(8), "little")))
        data = f.read()
    types = {"F32": torch.float32, "I64": torch.int64}
    state = {}
    for name, t in header.items():
        if name != "__metadata__":
            begin, end = t["data_offsets"]
            numbers = torch.frombuffer(bytearray(data[begin:end]), dtype=types[t["dtype"]])
            state[name] = numbers.reshape(t["shape"])
    return state


def norm(channels):
    return nn.BatchNorm2d(channels, eps=NORM_EPS, momentum=NORM_MOMENTUM)


def conv(inputs, outputs, kernel, **options):
    return nn.Conv2d(inputs, outputs, kernel, bias=False, **options)


def stem(last_relu):
    """3x3 convolutions that bring an image to the size of the first cell."""
    modules, inputs = [], COLOURS
    for outputs, stride in STEM:
        modules += [conv(inputs, outputs, 3, stride=stride, padding=1), norm(outputs), nn.ReLU()]
        inputs = outputs
    return nn.Sequential(*(modules if last_relu else modules[:-1]))
