use countersign_wire::webhook::Receipt;

fn two(receipt: Receipt) -> (Receipt, Receipt) {
    (receipt.clone(), receipt)
}

fn main() {}
