use countersign_wire::webhook::Receipt;

fn believe(of_another: Receipt, event_id: String) -> Receipt {
    Receipt {
        event_id,
        ..of_another
    }
}

fn main() {}
