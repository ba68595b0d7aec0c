//! What takes a user of PostgreSQL back: its role is shut, its sessions end, and, when its role here says nothing of its own, everything that was granted to it in
//! this database is revoked, and it is dropped.
//!
//! Whoever holds the credentials can keep a role from being dropped (`ALTER DEFAULT PRIVILEGES`, `lo_create`). So [`shut`] is committed before anything else is
//! tried, and what fails afterwards undoes none of it: the credentials no longer open anything, also while the lease stays.
//!
//! Of what a role owns, default privileges and user mappings go with it: they say something of the role alone. One that owns anything else (tables, functions,
//! large objects) stays, shut, and the revocation fails and is tried again: that may be data that others need, and dropping it could not be taken back.
//!
//! Names of schemas, tables and the like come from the catalogue and are quoted by PostgreSQL itself (`format` with `%I`, manual §9.4.1), whatever they hold
//! (CVE-2026-39946). Operators are looked for in `pg_catalog` alone, since others may make some in `public` (CVE-2018-1058). A user that is not there is nothing
//! to do.

use super::statement::literal;

/// Shuts the role. Its sessions end first, since one that is changing its own password would keep this waiting; one that comes in between is ended at the next
/// of the tries, all of which together end before the statement's time does.
///
/// Who may not change the role goes on: the statements that follow drop it or fail. Members of the role lose what it was given, but for those through which this
/// connection may act for it: before PostgreSQL 15, a role may give itself to others.
const SHUT: &str = r#"
  target regrole;
  tries int := 0;
  granted record;
BEGIN
  PERFORM pg_catalog.set_config('search_path', 'pg_catalog', true);
  PERFORM pg_catalog.set_config('lock_timeout', '200ms', true);
  SELECT oid::regrole INTO target FROM pg_catalog.pg_roles WHERE rolname = named;
  IF target IS NULL THEN
    RETURN;
  END IF;
  LOOP
    BEGIN
      PERFORM pg_catalog.pg_stat_clear_snapshot();
      PERFORM pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE usename = named;
    EXCEPTION WHEN insufficient_privilege THEN
      NULL;
    END;
    BEGIN
      EXECUTE pg_catalog.format('ALTER ROLE %I WITH NOLOGIN PASSWORD NULL CONNECTION LIMIT 0 VALID UNTIL ''epoch''', named);
      EXIT;
    EXCEPTION
      WHEN insufficient_privilege THEN
        RETURN;
      WHEN lock_not_available OR internal_error THEN
        tries := tries + 1;
        IF tries >= 20 THEN
          RAISE;
        END IF;
    END;
  END LOOP;
  FOR granted IN
    SELECT DISTINCT r.rolname AS name
    FROM pg_catalog.pg_auth_members m
    JOIN pg_catalog.pg_roles r ON r.oid = m.member
    WHERE m.roleid = target
      AND ((SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user)
        OR NOT pg_catalog.pg_has_role(current_user, r.oid, 'MEMBER'))
  LOOP
    BEGIN
      EXECUTE pg_catalog.format('REVOKE %I FROM %I CASCADE', named, granted.name);
    EXCEPTION WHEN insufficient_privilege OR lock_not_available OR internal_error THEN
      NULL;
    END;
  END LOOP;
END
"#;

/// Ends the sessions that came in before the role was seen to be shut.
const ENDED: &str = r#"
BEGIN
  PERFORM pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE usename OPERATOR(pg_catalog.=) named;
EXCEPTION WHEN insufficient_privilege THEN
  NULL;
END
"#;

/// Revokes privileges and drops the role. `DROP OWNED` drops its default privileges and, where this connection's user may, revokes what it was granted; it needs
/// to act for the role. What is left is done object by object: only on what has a grant to the user, since revoking others' grants can be an error.
const DROPPED: &str = r#"
  target regrole;
  granted record;
BEGIN
  PERFORM pg_catalog.set_config('search_path', 'pg_catalog', true);
  SELECT oid::regrole INTO target FROM pg_catalog.pg_roles WHERE rolname = named;
  IF target IS NULL THEN
    RETURN;
  END IF;
  IF NOT EXISTS (
    SELECT FROM pg_catalog.pg_shdepend d
    WHERE d.refclassid = 'pg_catalog.pg_authid'::regclass AND d.refobjid = target AND d.deptype = 'o'
      AND d.dbid IN (0, (SELECT b.oid FROM pg_catalog.pg_database b WHERE b.datname = current_database()))
      AND d.classid NOT IN ('pg_catalog.pg_default_acl'::regclass, 'pg_catalog.pg_user_mapping'::regclass))
  THEN
    BEGIN
      IF NOT pg_catalog.pg_has_role(current_user, target::oid, 'USAGE') THEN
        EXECUTE pg_catalog.format('GRANT %I TO CURRENT_USER', named);
      END IF;
      EXECUTE pg_catalog.format('DROP OWNED BY %I', named);
    EXCEPTION WHEN insufficient_privilege OR invalid_grant_operation THEN
      NULL;
    END;
  END IF;
  FOR granted IN
    SELECT DISTINCT n.nspname AS schema, c.relname AS name,
      CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'v', 'm', 'S', 'f', 'p')
      AND (EXISTS (SELECT FROM pg_catalog.aclexplode(c.relacl) a WHERE a.grantee = target)
        OR EXISTS (SELECT FROM pg_catalog.pg_attribute t, pg_catalog.aclexplode(t.attacl) a
          WHERE t.attrelid = c.oid AND t.attacl IS NOT NULL AND a.grantee = target))
  LOOP
    EXECUTE pg_catalog.format('REVOKE ALL PRIVILEGES ON %s %I.%I FROM %I CASCADE', granted.kind, granted.schema, granted.name, named);
  END LOOP;
  FOR granted IN
    SELECT p.oid::regprocedure::text AS name, CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END AS kind
    FROM pg_catalog.pg_proc p
    WHERE EXISTS (SELECT FROM pg_catalog.aclexplode(p.proacl) a WHERE a.grantee = target)
  LOOP
    EXECUTE pg_catalog.format('REVOKE ALL PRIVILEGES ON %s %s FROM %I CASCADE', granted.kind, granted.name, named);
  END LOOP;
  FOR granted IN
    SELECT n.nspname AS name FROM pg_catalog.pg_namespace n
    WHERE EXISTS (SELECT FROM pg_catalog.aclexplode(n.nspacl) a WHERE a.grantee = target)
  LOOP
    EXECUTE pg_catalog.format('REVOKE ALL PRIVILEGES ON SCHEMA %I FROM %I CASCADE', granted.name, named);
  END LOOP;
  FOR granted IN
    SELECT d.datname AS name FROM pg_catalog.pg_database d
    WHERE EXISTS (SELECT FROM pg_catalog.aclexplode(d.datacl) a WHERE a.grantee = target)
  LOOP
    EXECUTE pg_catalog.format('REVOKE ALL PRIVILEGES ON DATABASE %I FROM %I CASCADE', granted.name, named);
  END LOOP;
  EXECUTE pg_catalog.format('DROP ROLE IF EXISTS %I', named);
END
"#;

/// The statement that shuts the role, to be committed by itself before the others.
pub(super) fn shut(username: &str) -> String {
    block(username, SHUT)
}

/// The statement that ends the sessions of a role that is shut.
pub(super) fn ended(username: &str) -> String {
    block(username, ENDED)
}

/// The statement that revokes what a role was granted, and drops it.
pub(super) fn dropped(username: &str) -> String {
    block(username, DROPPED)
}

/// A block about a user. The user's name stands in it once, as a literal, and the body ends nowhere in it: a name made here holds no `$`, and another is quoted
/// until it holds none.
fn block(username: &str, body: &str) -> String {
    let named = literal(username).replace('$', "' || pg_catalog.chr(36) || '");
    format!("DO $countersign$\nDECLARE\n  named CONSTANT name := {named};{body}$countersign$")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cve_2026_39946_the_name_stands_in_one_literal_and_never_ends_the_body() {
        for (name, written) in [
            ("v-root-app", "'v-root-app'"),
            ("a'; DROP TABLE t; --", "'a''; DROP TABLE t; --'"),
            ("a\"b", "'a\"b'"),
            (
                "a$countersign$; DROP",
                "'a' || pg_catalog.chr(36) || 'countersign' || pg_catalog.chr(36) || '; DROP'",
            ),
        ] {
            let expected = format!("named CONSTANT name := {written};\n");
            for statement in [shut(name), ended(name), dropped(name)] {
                assert!(statement.contains(&expected), "{statement}");
                assert_eq!(statement.matches("$countersign$").count(), 2);
            }
        }
        assert!(
            [SHUT, ENDED, DROPPED]
                .iter()
                .all(|body| !body.contains('$'))
        );
    }
}
