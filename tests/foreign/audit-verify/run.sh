#!/usr/bin/env bash
# A verifier written by others reads our audit log: the Go team's signed-note and transparency-log code from Debian's packages golang-go and
# golang-golang-x-mod-dev, against logs that the program writes. Every case is also put to our own verifier. One line a case; exits 1 if one fails.
set -uo pipefail
cd "$(dirname "$0")/../../.."

for needed in /usr/bin/go /usr/share/gocode/src/golang.org/x/mod/sumdb/tlog; do
  [ -e "$needed" ] || { echo "missing $needed: install golang-go and golang-golang-x-mod-dev"; exit 1; }
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
records=${RECORDS:-70000}
passed=0
failed=0

export GO111MODULE=off GOPATH=/usr/share/gocode GOCACHE="$work/gocache" GOFLAGS=
/usr/bin/go build -o "$work/audit-verify" tests/foreign/audit-verify/main.go || exit 1
cargo build --quiet --workspace --example write_log --example verify_log || exit 1
# Only for the location: the artefacts may lie elsewhere than in target/.
built=$(cargo build --quiet --workspace --example write_log --example verify_log --message-format=json 2>/dev/null |
  sed -n 's/.*"executable":"\([^"]*\)".*/\1/p')
write_log=$(grep '/write_log$' <<<"$built") && verify_log=$(grep '/verify_log$' <<<"$built") || exit 1

log=$work/log/audit.example/eu
kept=$work/log/kept
"$write_log" "$work/log" "$records" "$work/key" >/dev/null || exit 1
"$write_log" "$work/fork" "$records" "$work/key" >/dev/null || exit 1
"$write_log" "$work/other" 600 "$work/other-key" >/dev/null || exit 1
key=$work/verifier.key
cp "$log/verifier.key" "$key"
older=("$kept"/checkpoint.*)

# judge NAME ok|refused COMMAND...
judge() {
  local name=$1 expected=$2 verdict said
  shift 2
  said=$("$@" 2>&1) && verdict=ok || verdict=refused
  if [ "$verdict" = "$expected" ]; then
    passed=$((passed + 1))
    echo "ok    $name: $(head -c 160 <<<"$said" | head -1 | sed "s#$work##g")"
  else
    failed=$((failed + 1))
    echo "FAIL  $name: expected $expected, was $verdict: $said"
  fi
}

# both NAME ok|refused DIR [OLDER...]: the foreign verifier and ours must agree
both() {
  local name=$1 expected=$2 dir=$3
  shift 3
  judge "$name (go)" "$expected" "$work/audit-verify" log "$dir" "$key" "$@"
  judge "$name (own)" "$expected" "$verify_log" "$dir" "$key" "$@"
}

# tampered NAME COMMAND...: a fresh copy of the log, the command run in it, and a refusal expected
tampered() {
  local name=$1
  shift
  rm -rf "$work/copy"
  cp -r "$log" "$work/copy"
  (cd "$work/copy" && "$@") || { failed=$((failed + 1)); echo "FAIL  $name: the tampering did not work"; return; }
  both "$name" refused "$work/copy" "${older[@]}"
}

flip() { # FILE OFFSET: turns over one bit
  local byte
  byte=$(od -An -tu1 -j "$2" -N 1 "$1") && [ -n "$byte" ] &&
    printf "\\x$(printf %x $((byte ^ 1)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}
swap() { mv "$1" swapped && mv "$2" "$1" && mv swapped "$2"; }
pad() { printf '\0' >>"$1"; }
shorten() { truncate -s -1 "$1"; }
oldest=$(ls "$kept"/checkpoint.* | sort -t. -k2 -n | head -1)
last=$((records / 256))
width=$((records % 256))
partial=$(printf %03d "$last").p/$width

echo "== accepted"
both "a log of $records records" ok "$log"
both "it extends every checkpoint it ever published" ok "$log" "${older[@]}"
for size in 1 3 255 256 257 513; do
  "$write_log" "$work/small$size" "$size" "$work/key" >/dev/null || failed=$((failed + 1))
  both "a log of $size records" ok "$work/small$size/audit.example/eu" "$work/small$size/kept/checkpoint.$size"
done
for receipt in "$kept"/*.receipt; do
  judge "receipt $(basename "$receipt") stands alone (go)" ok "$work/audit-verify" receipt "$receipt" "${receipt%.receipt}.entry" "$key"
done

echo "== refused"
tampered "a flipped bit in an entry" flip tile/entries/000 100
tampered "a flipped bit in the last bundle" flip "tile/entries/$partial" 50
tampered "a flipped bit in a level-0 tile" flip tile/0/001 40
tampered "a flipped bit in the right edge" flip "tile/0/$partial" 0
tampered "a flipped bit in a level-1 tile" flip tile/1/000 77
tampered "a dropped bundle" rm tile/entries/005
tampered "a dropped hash tile" rm tile/0/005
tampered "two bundles swapped" swap tile/entries/002 tile/entries/003
tampered "two bundles swapped with their tiles" bash -c 'mv tile/entries/002 e && mv tile/entries/003 tile/entries/002 && mv e tile/entries/003 && mv tile/0/002 h && mv tile/0/003 tile/0/002 && mv h tile/0/003'
tampered "a truncated bundle" shorten tile/entries/004
tampered "a padded bundle" pad tile/entries/004
tampered "an edited checkpoint size" sed -i "2s/.*/$((records - 1))/" checkpoint
tampered "an edited checkpoint signature" sed -i '5s/.\{6\}$/AAAAA=/' checkpoint
tampered "a checkpoint of another key" cp "$work/other/audit.example/eu/checkpoint" checkpoint
tampered "a rolled back checkpoint" cp "$oldest" checkpoint
tampered "an entry forged with its level-0 hash" "$work/audit-verify" forge . 300
both "a fork: another log under the same key" refused "$work/fork/audit.example/eu" "$kept/checkpoint.$records"
rm -rf "$work/copy" && cp -r "$log" "$work/copy" && cp "$oldest" "$work/copy/checkpoint" && rm "$work/copy/state"
both "a stale checkpoint without its state, to whoever kept a newer one" refused "$work/copy" "$kept/checkpoint.$records"
receipt=$kept/$((records - 1)).receipt
judge "a receipt for another entry (go)" refused "$work/audit-verify" receipt "$receipt" "$kept/0.entry" "$key"
sed "s/^index .*/index 1/" "$receipt" >"$work/moved.receipt"
judge "a receipt for another place (go)" refused "$work/audit-verify" receipt "$work/moved.receipt" "${receipt%.receipt}.entry" "$key"
judge "another log's key (go)" refused "$work/audit-verify" log "$log" "$work/other/audit.example/eu/verifier.key"
rm -rf "$work/copy" && cp -r "$log" "$work/copy" && flip "$work/copy/journal/$(ls "$log/journal" | head -1)" 3000
judge "a flipped bit in the journal, which is ours alone to read (own)" refused "$verify_log" "$work/copy" "$key"
rm -rf "$work/copy" && cp -r "$log" "$work/copy" && flip "$work/copy/state" 30
judge "a flipped bit in the state, which is ours alone to read (own)" refused "$verify_log" "$work/copy" "$key"

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
