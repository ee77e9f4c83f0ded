package table

import (
	"fmt"
	"os"
	"path/filepath"
)

// folderVariable names the environment variable that moves the folder of tables.
const folderVariable = "EVALNAS_TABLES"

// cacheDir is the folder of the tables that were read: $EVALNAS_TABLES, else
// evalnas/tables in the user's cache folder. It makes nothing.
func cacheDir() (string, error) {
	if dir := os.Getenv(folderVariable); dir != "" {
		return filepath.Abs(dir)
	}
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the folder of tables: %w; set %s to a folder", err, folderVariable)
	}
	return filepath.Join(base, "evalnas", "tables"), nil
}
