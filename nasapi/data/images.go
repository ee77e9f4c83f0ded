package data

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	_ "image/jpeg" // JPEG files
	_ "image/png"  // PNG files
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// imageFile is one image of a folder.
type imageFile struct {
	path  string // from the folder on
	label uint16
	size  image.Point
	gray  bool
	err   error // why it cannot be used
}

// imageFolder is a folder of images as it is read.
type imageFolder struct {
	dir     string
	o       ImportOptions
	classes []string
	other   []string // files that are no images
}

// Folders with these names divide a folder of images into parts.
const trainFolder, testFolder = "train", "test"

// readImages reads a folder with one folder a class. Images of one class lie
// together there, so the train part is put into an order drawn from the seed:
// otherwise a split in the order of the file would divide the classes.
func readImages(ctx context.Context, dir string, o ImportOptions) (*source, error) {
	f := &imageFolder{dir: dir, o: o}
	top, err := f.folders("")
	if err != nil {
		return nil, err
	}
	var set *Set
	if slices.Contains(top, trainFolder) {
		set, err = f.parts(ctx, top)
	} else {
		set, err = f.whole(ctx, "", top)
	}
	if err != nil {
		return nil, err
	}
	set.Classes, set.ClassNames = len(f.classes), f.classes
	return &source{set: set}, nil
}

// parts reads train/ and, where it is there, test/.
func (f *imageFolder) parts(ctx context.Context, top []string) (*Set, error) {
	for _, name := range top {
		if name != trainFolder && name != testFolder {
			return nil, fmt.Errorf("it has %s beside %s: images are read from %s and %s alone, so move those of %s into one of them", name, trainFolder, trainFolder, testFolder, name)
		}
	}
	classes, err := f.folders(trainFolder)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(top, testFolder) {
		return f.whole(ctx, trainFolder, classes)
	}
	if f.o.TestShare != 0 {
		return nil, fmt.Errorf("a share of test images is asked for, but it has the folder %s", testFolder)
	}
	testClasses, err := f.folders(testFolder)
	if err != nil {
		return nil, err
	}
	if !slices.Equal(classes, testClasses) {
		return nil, fmt.Errorf("%s has the classes %s and %s has %s; both have the same", trainFolder, few(classes), testFolder, few(testClasses))
	}
	f.classes = classes
	train, err := f.list(trainFolder)
	if err != nil {
		return nil, err
	}
	test, err := f.list(testFolder)
	if err != nil {
		return nil, err
	}
	all := slices.Concat(train, test)
	both, shape, err := f.read(ctx, all)
	if err != nil {
		return nil, err
	}
	n := len(train) - unusable(all[:len(train)])
	size := shape.ImageBytes()
	first := part{pixels: both.pixels[:n*size], labels: both.labels[:n]}
	last := part{pixels: both.pixels[n*size:], labels: both.labels[n:]}
	set := joined(first.inDrawnOrder(f.o.Seed, size), last, shape)
	set.Source = f.describe(len(all)-both.n(), "")
	return set, nil
}

// whole reads classes from one folder and splits the test part off.
func (f *imageFolder) whole(ctx context.Context, under string, classes []string) (*Set, error) {
	f.classes = classes
	all, err := f.list(under)
	if err != nil {
		return nil, err
	}
	p, shape, err := f.read(ctx, all)
	if err != nil {
		return nil, err
	}
	train, test, how := p.splitOff(f.o, shape.ImageBytes())
	f.o.Events.note("%s", how)
	set := joined(train, test, shape)
	set.Source = f.describe(len(all)-p.n(), how)
	return set, nil
}

func (f *imageFolder) describe(left int, how string) string {
	text := fmt.Sprintf("images of folder %s, order drawn by seed %d", filepath.Base(f.dir), f.o.Seed)
	if how != "" {
		text += "; " + how
	}
	if left > 0 {
		text += fmt.Sprintf("; %d left out", left)
	}
	return text
}

// folders are those in a folder, in alphabetical order, hidden ones left out.
func (f *imageFolder) folders(under string) ([]string, error) {
	dir := filepath.Join(f.dir, under)
	list, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range list {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		// Stat, since a link to a folder is one.
		if info, err := os.Stat(filepath.Join(dir, e.Name())); err == nil && info.IsDir() {
			names = append(names, e.Name())
			continue
		}
		if isImageName(e.Name()) {
			return nil, fmt.Errorf("%s lies beside the folders of the classes: images lie in one folder a class", filepath.Join(under, e.Name()))
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%s; this folder has none of it", allowedKinds)
	}
	return names, nil
}

// imageSuffixes are of files that somebody means to be images; those that the
// standard library reads are PNG and JPEG.
var imageSuffixes = []string{".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".heic", ".avif"}

func isImageName(name string) bool {
	return slices.Contains(imageSuffixes, strings.ToLower(filepath.Ext(name)))
}

// list finds the files of all classes, by class and then by name.
func (f *imageFolder) list(under string) ([]imageFile, error) {
	var all []imageFile
	if len(f.classes) > maxClasses {
		return nil, fmt.Errorf("it has %d classes, more than %d", len(f.classes), maxClasses)
	}
	for label, class := range f.classes {
		entries, err := os.ReadDir(filepath.Join(f.dir, under, class))
		if err != nil {
			return nil, err
		}
		before := len(all)
		for _, e := range entries {
			path := filepath.Join(under, class, e.Name())
			switch {
			case strings.HasPrefix(e.Name(), "."):
			case e.IsDir():
				return nil, fmt.Errorf("%s is a folder within a class: images lie in one folder a class", path)
			case isImageName(e.Name()):
				all = append(all, imageFile{path: path, label: uint16(label)})
			default:
				f.other = append(f.other, path)
			}
		}
		if len(all) == before {
			return nil, fmt.Errorf("the class %s has no PNG or JPEG image; remove its folder or fill it", filepath.Join(under, class))
		}
	}
	return all, nil
}

// read decodes the images in two passes: the first finds the size that most
// have, so that an odd one is told by name and memory is taken once.
func (f *imageFolder) read(ctx context.Context, files []imageFile) (*part, Shape, error) {
	if len(f.other) > 0 {
		f.o.Events.note("%d files are no images and were not read: %s", len(f.other), few(f.other))
	}
	f.each(ctx, "looking at images", files, f.look)
	shape, err := commonShape(files)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, Shape{}, cmp.Or(ctx.Err(), f.refuse(files), err)
	}
	pixels := make([]byte, len(files)*shape.ImageBytes())
	f.each(ctx, "reading images", files, func(i int, one *imageFile) {
		if one.err == nil {
			one.err = f.decode(one, pixels[i*shape.ImageBytes():(i+1)*shape.ImageBytes()], shape)
		}
	})
	if err := cmp.Or(ctx.Err(), f.refuse(files)); err != nil {
		return nil, Shape{}, err
	}
	return compact(files, pixels, shape.ImageBytes()), shape, f.checkClasses(files)
}

// checkClasses refuses a class of which every image was left out.
func (f *imageFolder) checkClasses(files []imageFile) error {
	left := make([]bool, len(f.classes))
	for _, one := range files {
		left[one.label] = left[one.label] || one.err == nil
	}
	if i := slices.Index(left, false); i >= 0 {
		return fmt.Errorf("no image of the class %s can be used", f.classes[i])
	}
	return nil
}

// each calls do on all files, on all processors.
func (f *imageFolder) each(ctx context.Context, what string, files []imageFile, do func(int, *imageFile)) {
	var mu sync.Mutex
	done := 0
	inParallel(len(files), func(from, to int) {
		for i := from; i < to && ctx.Err() == nil; i++ {
			do(i, &files[i])
			mu.Lock()
			if done++; done%100 == 0 || done == len(files) {
				f.o.Events.progress(what, int64(done), int64(len(files)))
			}
			mu.Unlock()
		}
	})
}

// look reads the size and kind of an image.
func (f *imageFolder) look(_ int, one *imageFile) {
	file, err := os.Open(filepath.Join(f.dir, one.path))
	if err != nil {
		one.err = err
		return
	}
	defer file.Close()
	c, format, err := image.DecodeConfig(file)
	switch {
	case errors.Is(err, image.ErrFormat):
		one.err = errors.New("it is neither PNG nor JPEG")
	case err != nil:
		one.err = fmt.Errorf("it is damaged: %w", noEOF(err))
	case c.Width < 1 || c.Height < 1 || c.Width > maxSide || c.Height > maxSide:
		one.err = fmt.Errorf("its %s header says %dx%d pixels; sides are 1 to %d", format, c.Height, c.Width, maxSide)
	default:
		one.size = image.Pt(c.Width, c.Height)
		one.gray = c.ColorModel == color.GrayModel || c.ColorModel == color.Gray16Model
	}
}

// commonShape is the size of most readable images, of two equally frequent ones
// that of the earlier image; those of other sizes get an error. Images are gray
// where all are.
func commonShape(files []imageFile) (Shape, error) {
	count := map[image.Point]int{}
	var size image.Point
	gray := true
	for _, one := range files {
		if one.err == nil {
			count[one.size]++
		}
	}
	if len(count) == 0 {
		return Shape{}, errors.New("none of its images can be read")
	}
	most := slices.Max(slices.Collect(maps.Values(count)))
	i := slices.IndexFunc(files, func(one imageFile) bool { return one.err == nil && count[one.size] == most })
	size = files[i].size
	for i := range files {
		one := &files[i]
		if one.err != nil {
			continue
		}
		if one.size != size {
			one.err = fmt.Errorf("it is %dx%d pixels, most images are %dx%d", one.size.Y, one.size.X, size.Y, size.X)
			continue
		}
		gray = gray && one.gray
	}
	s := Shape{H: size.Y, W: size.X, C: 3}
	if gray {
		s.C = 1
	}
	return s, nil
}

// decode writes the pixels of an image.
func (f *imageFolder) decode(one *imageFile, to []byte, s Shape) error {
	file, err := os.Open(filepath.Join(f.dir, one.path))
	if err != nil {
		return err
	}
	defer file.Close()
	img, _, err := image.Decode(file)
	if err != nil {
		return fmt.Errorf("it was cut short or altered: %w", noEOF(err))
	}
	b := img.Bounds()
	if b.Dx() != s.W || b.Dy() != s.H {
		return fmt.Errorf("it decodes to %dx%d pixels, its header says %dx%d", b.Dy(), b.Dx(), s.H, s.W)
	}
	if o, ok := img.(interface{ Opaque() bool }); ok && !o.Opaque() {
		return errors.New("it has transparent pixels, whose colour is not defined")
	}
	if s.C == 1 {
		gray := image.NewGray(image.Rect(0, 0, s.W, s.H))
		draw.Draw(gray, gray.Rect, img, b.Min, draw.Src)
		copy(to, gray.Pix)
		return nil
	}
	rgba := image.NewRGBA(image.Rect(0, 0, s.W, s.H))
	draw.Draw(rgba, rgba.Rect, img, b.Min, draw.Src)
	for i := range s.H * s.W {
		copy(to[3*i:3*i+3], rgba.Pix[4*i:])
	}
	return nil
}

// refuse is the error for images that cannot be used, nil where they are to be
// left out; then each is told.
func (f *imageFolder) refuse(files []imageFile) error {
	var bad []string
	for _, one := range files {
		if one.err != nil {
			bad = append(bad, one.path+": "+reason(one.err))
		}
	}
	switch {
	case len(bad) == 0:
		return nil
	case len(bad) == len(files):
		return fmt.Errorf("none of its %d images can be used: %s", len(files), few(bad))
	case !f.o.SkipUnreadable:
		return fmt.Errorf("%d of %d images cannot be used: %s; repair or remove them, or leave them out with --skip-unreadable", len(bad), len(files), few(bad))
	}
	for _, text := range bad {
		f.o.Events.note("left out %s", text)
	}
	return nil
}

// reason is an error without the path, which is told already.
func reason(err error) string {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}

func unusable(files []imageFile) int {
	n := 0
	for _, one := range files {
		if one.err != nil {
			n++
		}
	}
	return n
}

// compact closes the gaps that unusable images leave.
func compact(files []imageFile, pixels []byte, size int) *part {
	p := &part{pixels: pixels[:0]}
	for i, one := range files {
		if one.err == nil {
			p.pixels = append(p.pixels, pixels[i*size:(i+1)*size]...)
			p.labels = append(p.labels, one.label)
		}
	}
	return p
}

// few names the first of many.
func few(names []string) string {
	const show = 5
	if len(names) <= show {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:show], ", ") + fmt.Sprintf(" and %d more", len(names)-show)
}
