use countersign_base::Secret;

fn main() {
    println!("{:?}", Secret::new(String::new()));
}
