use super::*;
use std::os::unix::fs::symlink;

const PRIVATE: Ownership = Ownership {
    mode: 0o600,
    owner: None,
    group: None,
};

fn secret(text: &str) -> Secret<Vec<u8>> {
    Secret::new(text.as_bytes().to_vec())
}

fn put(path: &Path, text: &str, ownership: Ownership) -> Result<Written, OutputError> {
    write(&place(path, None)?, &secret(text), ownership)
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn a_file_is_its_owners_alone_unless_something_else_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secret");
    assert_eq!(put(&path, "one", PRIVATE).unwrap(), Written::Changed);
    assert_eq!(mode(&path), 0o600);
    assert_eq!(put(&path, "one", PRIVATE).unwrap(), Written::Same);
    let wider = Ownership {
        mode: 0o640,
        ..PRIVATE
    };
    assert_eq!(put(&path, "one", wider).unwrap(), Written::Changed);
    assert_eq!(mode(&path), 0o640);
    assert_eq!(put(&path, "two", wider).unwrap(), Written::Changed);
    assert_eq!(fs::read_to_string(&path).unwrap(), "two");
    assert_eq!(
        fs::read_dir(directory.path()).unwrap().count(),
        1,
        "nothing is left beside it"
    );
}

#[test]
fn whoever_holds_the_old_file_open_reads_the_old_one_whole() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secret");
    put(&path, "the old one", PRIVATE).unwrap();
    let mut old = File::open(&path).unwrap();
    put(&path, "the new one", PRIVATE).unwrap();
    let mut read = String::new();
    old.read_to_string(&mut read).unwrap();
    assert_eq!(read, "the old one");
}

#[test]
fn nothing_is_written_through_a_link() {
    let directory = tempfile::tempdir().unwrap();
    let (path, victim) = (
        directory.path().join("secret"),
        directory.path().join("victim"),
    );
    fs::write(&victim, "untouched").unwrap();
    symlink(&victim, &path).unwrap();
    let error = put(&path, "one", PRIVATE).unwrap_err();
    assert!(error.to_string().contains("is a symbolic link"), "{error}");
    // Neither where the agent writes first.
    fs::remove_file(&path).unwrap();
    symlink(&victim, beside(&path)).unwrap();
    put(&path, "one", PRIVATE).unwrap();
    assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
    assert!(fs::symlink_metadata(&path).unwrap().is_file());
}

#[test]
fn a_directory_that_everybody_may_write_is_refused_however_it_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let open = directory.path().join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, Permissions::from_mode(0o777)).unwrap();
    let link = directory.path().join("link");
    symlink(&open, &link).unwrap();
    for path in [open.join("secret"), link.join("secret")] {
        let error = put(&path, "one", PRIVATE).unwrap_err();
        assert!(
            error.to_string().contains("can be written by everybody"),
            "{error}"
        );
    }
    fs::set_permissions(&open, Permissions::from_mode(0o1777)).unwrap();
    assert!(put(&open.join("secret"), "one", PRIVATE).is_err());
    // And one below it, which everybody could replace.
    fs::set_permissions(&open, Permissions::from_mode(0o777)).unwrap();
    fs::create_dir(open.join("below")).unwrap();
    assert!(put(&open.join("below/secret"), "one", PRIVATE).is_err());
    assert_eq!(fs::read_dir(open.join("below")).unwrap().count(), 0);
}

#[test]
fn a_directory_that_is_not_there_is_not_made() {
    let directory = tempfile::tempdir().unwrap();
    assert!(put(&directory.path().join("none/secret"), "one", PRIVATE).is_err());
    assert!(!directory.path().join("none").exists());
}
