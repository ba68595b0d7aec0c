//! Traces as strace writes them, in good order and in bad.

use super::{Answer, judge};

const IN: &str =
    "7 recvfrom(9<TCP:[127.0.0.1:8443->127.0.0.1:50000]>, \"\"..., 4096, 0, NULL, NULL) = 512\n";
const OUT: &str = "7 sendto(9<TCP:[127.0.0.1:8443->127.0.0.1:50000]>, \"\"..., 900, MSG_NOSIGNAL, NULL, 0) = 900\n";
const WRITE: &str = "8 pwrite64(12</data/state.db-wal>, \"\"..., 4096, 32) = 4096\n";
const SYNC: &str = "8 fdatasync(12</data/state.db-wal>) = 0\n";

#[track_caller]
fn check(trace: &[&str], expected: &[Answer]) {
    assert_eq!(judge(&trace.concat()), expected);
}

#[test]
fn an_answer_after_write_and_sync_is_synced() {
    check(&[IN, WRITE, SYNC, OUT], &[Answer::Synced]);
}

#[test]
fn the_journal_counts_by_its_own_writes_and_syncs() {
    let write = "8 write(13</data/audit/o/journal/0001>, \"\"..., 4096) = 4096\n";
    let sync = "8 fdatasync(13</data/audit/o/journal/0001>) = 0\n";
    check(&[IN, write, sync, OUT], &[Answer::Synced]);
    check(&[IN, write, SYNC, OUT], &[Answer::Unsynced]);
    check(&[IN, WRITE, sync, OUT], &[Answer::Unsynced]);
}

#[test]
fn an_answer_before_the_sync_is_not() {
    check(&[IN, WRITE, OUT, SYNC], &[Answer::Unsynced]);
    check(&[IN, OUT], &[Answer::Unsynced]);
}

#[test]
fn a_sync_before_the_write_does_not_count() {
    check(&[WRITE, IN, SYNC, OUT], &[Answer::Unsynced]);
    check(&[IN, SYNC, WRITE, OUT], &[Answer::Unsynced]);
}

#[test]
fn a_failed_sync_does_not_count() {
    let failed = "8 fdatasync(12</data/state.db-wal>) = -1 EIO (Input/output error)\n";
    check(&[IN, WRITE, failed, OUT], &[Answer::Unsynced]);
}

#[test]
fn a_sync_counts_when_it_is_over() {
    let (begun, over) = (
        "8 fdatasync(12</data/state.db-wal> <unfinished ...>\n",
        "8 <... fdatasync resumed>) = 0\n",
    );
    check(&[IN, WRITE, begun, OUT, over], &[Answer::Unsynced]);
    check(&[IN, WRITE, begun, over, OUT], &[Answer::Synced]);
}

#[test]
fn a_read_of_nothing_is_no_request() {
    let empty = "7 recvfrom(9<TCP:[127.0.0.1:8443->127.0.0.1:50000]>, 0x1, 4096, 0, NULL, NULL) = -1 EAGAIN (Resource temporarily unavailable)\n";
    check(&[empty, OUT], &[]);
}
