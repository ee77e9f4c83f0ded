package table

import (
	"os"
	"testing"
)

// BenchmarkImport reads the file that EVALNAS_TFRECORD names.
func BenchmarkImport(b *testing.B) {
	path := os.Getenv("EVALNAS_TFRECORD")
	if path == "" {
		b.Skip("EVALNAS_TFRECORD names no file")
	}
	b.Setenv(FolderVariable, b.TempDir())
	for b.Loop() {
		if _, err := Import(b.Context(), path, ImportOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}
