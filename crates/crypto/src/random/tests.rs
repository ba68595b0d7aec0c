use super::Random;

#[test]
fn the_system_does_not_repeat_itself() {
    let random = Random::system();
    assert_ne!(random.bytes::<32>(), random.bytes::<32>());
    assert_ne!(random.token().expose(), random.token().expose());
    assert_eq!(random.token().expose().len(), 43);
    assert_ne!(random.grant_id(), random.grant_id());
}

#[test]
fn a_function_gives_what_it_writes() {
    let random = Random::from_fn(|buffer| buffer.fill(7));
    assert_eq!(random.bytes::<3>(), [7; 3]);
    assert_eq!(random.event_id().as_bytes(), &[7; 16]);
    assert_eq!(random.session_id().as_u64(), 0x0707_0707_0707_0707);
}
