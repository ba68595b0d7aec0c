// Command audit-verify checks an audit log of Countersign with code that is not Countersign's: the Go team's
// golang.org/x/mod/sumdb/note (signed notes) and golang.org/x/mod/sumdb/tlog (RFC 6962 trees).
//
//	audit-verify log DIR VERIFIER_KEY_FILE [OLDER_CHECKPOINT ...]
//	audit-verify receipt RECEIPT ENTRY VERIFIER_KEY_FILE
//	audit-verify forge DIR INDEX           (for the negative tests: an entry forged together with its level-0 hash)
//
// It recomputes every hash from the entries and never asks tlog.TileHashReader: before x/mod 0.40.0 that reader accepts an entry that was
// forged together with its level-0 hash (CVE-2026-56865), and Debian's 0.7.0 is older.
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const tileWidth = 256

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Println("FAIL", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	switch {
	case len(arguments) >= 3 && arguments[0] == "log":
		return verifyLog(arguments[1], arguments[2], arguments[3:])
	case len(arguments) == 4 && arguments[0] == "receipt":
		return verifyReceipt(arguments[1], arguments[2], arguments[3])
	case len(arguments) == 3 && arguments[0] == "forge":
		return forge(arguments[1], arguments[2])
	}
	return errors.New("usage: audit-verify log DIR KEY [OLDER ...] | receipt RECEIPT ENTRY KEY | forge DIR INDEX")
}

// A head is what a checkpoint says once its signature holds.
type head struct {
	size int64
	root tlog.Hash
}

func verifier(keyFile string) (note.Verifier, error) {
	line, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, err
	}
	return note.NewVerifier(strings.TrimSuffix(string(line), "\n"))
}

func openHead(checkpoint []byte, key note.Verifier) (head, error) {
	opened, err := note.Open(checkpoint, note.VerifierList(key))
	if err != nil {
		return head{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != key.Name() || lines[3] != "" {
		return head{}, errors.New("not a checkpoint of this log")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || strconv.FormatInt(size, 10) != lines[1] || size < 0 {
		return head{}, errors.New("malformed size")
	}
	root, err := tlog.ParseHash(lines[2])
	return head{size, root}, err
}

// A tree holds every hash that tlog stores, computed here from entries.
type tree struct {
	hashes []tlog.Hash
	size   int64
}

func (t *tree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, 0, len(indexes))
	for _, index := range indexes {
		if index < 0 || index >= int64(len(t.hashes)) {
			return nil, fmt.Errorf("no stored hash %d", index)
		}
		hashes = append(hashes, t.hashes[index])
	}
	return hashes, nil
}

func (t *tree) grow(entry []byte) error {
	stored, err := tlog.StoredHashes(t.size, entry, t)
	if err != nil {
		return err
	}
	t.hashes = append(t.hashes, stored...)
	t.size++
	return nil
}

func verifyLog(dir, keyFile string, older []string) error {
	key, err := verifier(keyFile)
	if err != nil {
		return err
	}
	checkpoint, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	if err != nil {
		return err
	}
	newest, err := openHead(checkpoint, key)
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	recomputed, err := readEntries(dir, newest.size)
	if err != nil {
		return err
	}
	if err := checkRoot(recomputed, newest); err != nil {
		return err
	}
	tiles, err := compareTiles(dir, recomputed)
	if err != nil {
		return err
	}
	if err := checkSomeRecords(recomputed, newest); err != nil {
		return err
	}
	for _, path := range older {
		if err := checkExtends(recomputed, newest, path, key); err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(path), err)
		}
	}
	fmt.Println("OK", newest.size, "records", tiles, "tiles", newest.root)
	return nil
}

func checkRoot(t *tree, h head) error {
	if h.size == 0 {
		return nil
	}
	root, err := tlog.TreeHash(h.size, t)
	if err != nil {
		return err
	}
	if root != h.root {
		return errors.New("the entries do not lead to the signed root")
	}
	return nil
}

// tilePath is the path of C2SP tlog-tiles, which differs from the one of tlog.Tile.
func tilePath(dir, kind string, index int64, width int) string {
	elements := fmt.Sprintf("%03d", index%1000)
	for rest := index / 1000; rest > 0; rest /= 1000 {
		elements = fmt.Sprintf("x%03d/%s", rest%1000, elements)
	}
	path := filepath.Join(dir, "tile", kind, filepath.FromSlash(elements))
	if width < tileWidth {
		path += fmt.Sprintf(".p/%d", width)
	}
	return path
}

func widthAt(index, rows int64) int {
	if left := rows - index*tileWidth; left < tileWidth {
		return int(left)
	}
	return tileWidth
}

// readTile reads a tile or bundle. A partial one that is gone may be replaced by the full one of its place, which begins with the same hashes or
// entries (C2SP tlog-tiles); whole says that this was done.
func readTile(dir, kind string, index int64, width int) (content []byte, whole bool, err error) {
	content, err = os.ReadFile(tilePath(dir, kind, index, width))
	if err == nil || !errors.Is(err, os.ErrNotExist) || width == tileWidth {
		return content, false, err
	}
	if full, fullErr := os.ReadFile(tilePath(dir, kind, index, tileWidth)); fullErr == nil {
		return full, true, nil
	}
	return nil, false, err
}

// readEntries reads all bundles and builds the tree from nothing but their entries.
func readEntries(dir string, size int64) (*tree, error) {
	t := &tree{}
	for bundle := int64(0); bundle*tileWidth < size; bundle++ {
		width := widthAt(bundle, size)
		path := tilePath(dir, "entries", bundle, width)
		rest, whole, err := readTile(dir, "entries", bundle, width)
		if err != nil {
			return nil, err
		}
		for entry := 0; entry < width; entry++ {
			if len(rest) < 2 {
				return nil, fmt.Errorf("%s ends early", path)
			}
			length := int(binary.BigEndian.Uint16(rest))
			if rest = rest[2:]; len(rest) < length {
				return nil, fmt.Errorf("%s ends early", path)
			}
			if err := t.grow(rest[:length]); err != nil {
				return nil, err
			}
			rest = rest[length:]
		}
		if len(rest) != 0 && !whole {
			return nil, fmt.Errorf("%s holds more than its entries", path)
		}
	}
	return t, nil
}

// compareTiles compares every hash tile of the log with what the entries make it.
func compareTiles(dir string, t *tree) (int, error) {
	compared := 0
	for level := 0; t.size>>(8*level) > 0; level++ {
		rows := t.size >> (8 * level)
		for index := int64(0); index*tileWidth < rows; index++ {
			width := widthAt(index, rows)
			want, err := tlog.ReadTileData(tlog.Tile{H: 8, L: level, N: index, W: width}, t)
			if err != nil {
				return 0, err
			}
			path := tilePath(dir, strconv.Itoa(level), index, width)
			got, whole, err := readTile(dir, strconv.Itoa(level), index, width)
			if err != nil {
				return 0, err
			}
			if whole && len(got) > len(want) {
				got = got[:len(want)]
			}
			if !bytes.Equal(got, want) {
				return 0, fmt.Errorf("%s is not what the entries make it", path)
			}
			compared++
		}
	}
	return compared, nil
}

// checkSomeRecords proves the first, the last and some records between with tlog's own proofs.
func checkSomeRecords(t *tree, h head) error {
	for _, index := range []int64{0, h.size / 3, h.size / 2, h.size - 1} {
		if index < 0 || index >= h.size {
			continue
		}
		proof, err := tlog.ProveRecord(h.size, index, t)
		if err != nil {
			return err
		}
		leaf := t.hashes[tlog.StoredHashIndex(0, index)]
		if err := tlog.CheckRecord(proof, h.size, h.root, index, leaf); err != nil {
			return fmt.Errorf("record %d: %w", index, err)
		}
	}
	return nil
}

// checkExtends demands that the log is a continuation of an older checkpoint.
func checkExtends(t *tree, newest head, path string, key note.Verifier) error {
	checkpoint, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	old, err := openHead(checkpoint, key)
	if err != nil {
		return err
	}
	if old.size > newest.size {
		return errors.New("it is larger than the log: the log was rolled back")
	}
	if old.size == 0 {
		return nil
	}
	proof, err := tlog.ProveTree(newest.size, old.size, t)
	if err != nil {
		return err
	}
	if err := tlog.CheckTree(proof, newest.size, newest.root, old.size, old.root); err != nil {
		return fmt.Errorf("the log does not extend it: %w", err)
	}
	return nil
}

// verifyReceipt checks a receipt in the form c2sp.org/tlog-proof@v1 without the log.
func verifyReceipt(receiptFile, entryFile, keyFile string) error {
	key, err := verifier(keyFile)
	if err != nil {
		return err
	}
	receipt, err := os.ReadFile(receiptFile)
	if err != nil {
		return err
	}
	entry, err := os.ReadFile(entryFile)
	if err != nil {
		return err
	}
	parts := strings.SplitN(string(receipt), "\n\n", 2)
	lines := strings.Split(parts[0], "\n")
	if len(parts) != 2 || len(lines) < 2 || lines[0] != "c2sp.org/tlog-proof@v1" || !strings.HasPrefix(lines[1], "index ") {
		return errors.New("not a receipt")
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[1], "index "), 10, 64)
	if err != nil {
		return err
	}
	var proof tlog.RecordProof
	for _, line := range lines[2:] {
		hash, err := base64.StdEncoding.DecodeString(line)
		if err != nil || len(hash) != tlog.HashSize {
			return errors.New("a line is no hash")
		}
		proof = append(proof, *(*tlog.Hash)(hash))
	}
	h, err := openHead([]byte(parts[1]), key)
	if err != nil {
		return err
	}
	if err := tlog.CheckRecord(proof, h.size, h.root, index, tlog.RecordHash(entry)); err != nil {
		return err
	}
	fmt.Println("OK entry", index, "of", h.size)
	return nil
}

// forge changes one byte of an entry and writes the hash of the changed entry into its level-0 tile, which must be full.
func forge(dir, indexText string) error {
	index, err := strconv.ParseInt(indexText, 10, 64)
	if err != nil {
		return err
	}
	bundlePath := tilePath(dir, "entries", index/tileWidth, tileWidth)
	tile := tilePath(dir, "0", index/tileWidth, tileWidth)
	bundle, err := os.ReadFile(bundlePath)
	if err != nil {
		return err
	}
	hashes, err := os.ReadFile(tile)
	if err != nil {
		return err
	}
	at := 0
	for skipped := int64(0); skipped < index%tileWidth; skipped++ {
		at += 2 + int(binary.BigEndian.Uint16(bundle[at:]))
	}
	entry := bundle[at+2 : at+2+int(binary.BigEndian.Uint16(bundle[at:]))]
	changed := bytes.Replace(entry, []byte(`"action":"read"`), []byte(`"action":"kill"`), 1)
	if bytes.Equal(changed, entry) {
		return errors.New("the entry says nothing that the forger wants to change")
	}
	copy(entry, changed)
	hash := tlog.RecordHash(changed)
	copy(hashes[index%tileWidth*tlog.HashSize:], hash[:])
	if err := os.WriteFile(bundlePath, bundle, 0o644); err != nil {
		return err
	}
	return os.WriteFile(tile, hashes, 0o644)
}
