use super::*;

#[test]
fn urls_name_one_host_and_hold_no_password_file_or_socket() {
    for url in [
        "postgresql://{{username}}:{{password}}@db.example:5432/app",
        "postgres://{{username}}:{{password}}@10.0.0.1/app?sslmode=verify-full&application_name=v",
        "postgres://{{username}}@[::1]:5432/app",
        "postgres://localhost/app",
    ] {
        assert_eq!(checked_url(url.to_owned()), Ok(url.to_owned()), "{url}");
    }
    for url in [
        "",
        "mysql://{{username}}:{{password}}@db/app",
        "host=db user=x",
        "postgres://alice:s3cret@db/app",
        "postgres://alice@db/app",
        "postgres://{{username}}:s3cret@db/app",
        "postgres://{{username}}:{{password}}@/app",
        "postgres://{{username}}:{{password}}@:5432/app",
        "postgres://{{username}}:{{password}}@%2Fvar%2Frun/app",
        "postgres://{{username}}:{{password}}@a,b/app",
        "postgres://{{username}}:{{password}}@db/app?host=/var/run",
        "postgres://{{username}}:{{password}}@db/app?password=s3cret",
        "postgres://{{username}}:{{password}}@db/app?sslkey=/etc/shadow",
        "postgres://{{username}}:{{password}}@db/app?sslrootcert=/etc/shadow",
        "postgres://{{username}}:{{password}}@db/app?sslmode",
        "postgres://{{username}}:{{password}}@db/{{password}}",
        "postgres://{{username}}:{{password}}@db/app#x",
        "postgres://{{username}}:{{password}}@db/a b",
    ] {
        let refused = checked_url(url.to_owned()).unwrap_err();
        assert_eq!(refused.status(), 400, "{url}");
        assert!(!refused.to_string().contains("s3cret"));
    }
}

/// A password or name with characters of its own never becomes another part of the URL.
#[test]
fn names_and_passwords_are_escaped_in_the_url() {
    let connection = Connection {
        url: "postgres://{{username}}:{{password}}@db/app".to_owned(),
        username: "a:b@evil/{{password}}?x".to_owned(),
        ..empty()
    };
    let url = connection.with_password(Some(&Password::new("p@ss/?#:%".to_owned())));
    assert_eq!(
        url.expose(),
        "postgres://a%3Ab%40evil%2F%7B%7Bpassword%7D%7D%3Fx:p%40ss%2F%3F%23%3A%25@db/app"
    );
}

#[test]
fn roles_are_allowed_by_name_or_prefix() {
    let allowing = |roles: &[&str]| Connection {
        allowed_roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        ..empty()
    };
    for (roles, role, allowed) in [
        (&["app"][..], "app", true),
        (&["app"], "app2", false),
        (&["app"], "App", false),
        (&["app-*"], "app-1", true),
        (&["app-*"], "ap", false),
        (&["*"], "any", true),
        (&[], "app", false),
    ] {
        assert_eq!(
            allowing(roles).allows(role).is_ok(),
            allowed,
            "{roles:?} {role}"
        );
    }
}
