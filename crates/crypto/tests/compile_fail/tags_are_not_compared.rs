use countersign_crypto::mac::Tag;

fn main() {
    let _ = Tag::from_bytes([0; 32]) == Tag::from_bytes([0; 32]);
}
