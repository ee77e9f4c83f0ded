package data

import (
	"maps"
	"slices"
)

// Known is a public data set that is known by name.
type Known struct {
	Name  string
	Title string
	Shape
	ClassNames []string
	// Digest is Set.Digest of the official images in the official order, "" for
	// a set that is recognised by the SHA-256 of its official files alone.
	Digest string

	// files are the SHA-256 of the official files, unpacked.
	files map[string]string
	// remote are the official downloads.
	remote []remote
}

// remote is a file that can be downloaded.
type remote struct {
	file   string
	urls   []string // tried in turn; the content is the same
	size   int64    // 0 where it is not known
	sha256 string
}

// KnownSets lists the sets that are known by name, in alphabetical order.
func KnownSets() []Known {
	var all []Known
	for _, name := range slices.Sorted(maps.Keys(known)) {
		all = append(all, *known[name])
	}
	return all
}

func (s *Set) isKnown(name string) bool {
	return known[name].Digest != "" && s.Digest == known[name].Digest
}

// known are the sets by name. The SHA-256 of files are those that other loaders
// pin too; the digests were worked out from images whose files have them.
var known = map[string]*Known{
	"cifar10": {
		Name: "cifar10", Title: "CIFAR-10 (Krizhevsky 2009)",
		Shape:      Shape{TrainN: 50000, TestN: 10000, H: 32, W: 32, C: 3, Classes: 10},
		ClassNames: []string{"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"},
		Digest:     "45690ed511263b481ca9e7bee3de449a17056b9c16d4df7efe42cd5cc2139eda",
		files: map[string]string{
			"data_batch_1.bin": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
			"data_batch_2.bin": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
			"data_batch_3.bin": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
			"data_batch_4.bin": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
			"data_batch_5.bin": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
			"test_batch.bin":   "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
		},
		remote: []remote{{
			file: "cifar-10-binary.tar.gz", size: 170052171,
			urls:   []string{"https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"},
			sha256: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
		}},
	},
	"cifar100": {
		Name: "cifar100", Title: "CIFAR-100, fine labels (Krizhevsky 2009)",
		Shape: Shape{TrainN: 50000, TestN: 10000, H: 32, W: 32, C: 3, Classes: 100},
		files: map[string]string{
			"train.bin": "f31298fc616915fa142368359df1c4ca2ae984d6915ca468b998a5ec6aeebf29",
			"test.bin":  "d8b1e6b7b3bee4020055f0699b111f60b1af1e262aeb93a0b659061746f8224a",
		},
		remote: []remote{{
			file: "cifar-100-binary.tar.gz", size: 168513733,
			urls:   []string{"https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz"},
			sha256: "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
		}},
	},
	"mnist": {
		Name: "mnist", Title: "MNIST (LeCun et al. 1998)",
		Shape:      Shape{TrainN: 60000, TestN: 10000, H: 28, W: 28, C: 1, Classes: 10},
		ClassNames: []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"},
		Digest:     "f64749471d1923148e9f3ee50efe69a08ca8a05bba0cda1579a1ae36c2fd1095",
		files: map[string]string{
			"train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
			"train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
			"t10k-images-idx3-ubyte":  "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
			"t10k-labels-idx1-ubyte":  "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
		},
		remote: idxFiles(
			[]string{"https://storage.googleapis.com/cvdf-datasets/mnist/", "https://ossci-datasets.s3.amazonaws.com/mnist/"},
			"440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
			"3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
			"8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
			"f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
		),
	},
	"fashion-mnist": {
		Name: "fashion-mnist", Title: "Fashion-MNIST (Xiao et al. 2017)",
		Shape:      Shape{TrainN: 60000, TestN: 10000, H: 28, W: 28, C: 1, Classes: 10},
		ClassNames: []string{"t-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"},
		Digest:     "f10b825ed3c9d2150bfea8ee7339882aed3f4375998fdb50c7abb200838a6eb2",
		files: map[string]string{
			"train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
			"train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
			"t10k-images-idx3-ubyte":  "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
			"t10k-labels-idx1-ubyte":  "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
		},
		remote: idxFiles(
			[]string{"https://fashion-mnist.s3.eu-central-1.amazonaws.com/", "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"},
			"3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
			"a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
			"346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
			"67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
		),
	},
}

// idxFiles are the four files of MNIST and of sets made in its image.
func idxFiles(folders []string, sums ...string) []remote {
	names := []string{"train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"}
	var all []remote
	for i, name := range names {
		r := remote{file: name, sha256: sums[i]}
		for _, f := range folders {
			r.urls = append(r.urls, f+name)
		}
		all = append(all, r)
	}
	return all
}
