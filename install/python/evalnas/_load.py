class Frames: pass
class LoadError(ValueError): pass
def load(path): raise NotImplementedError
