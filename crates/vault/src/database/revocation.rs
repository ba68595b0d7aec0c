//! What takes a user of PostgreSQL back when its role says nothing of its own: its sessions end, everything that was granted to it in this database is revoked, and
//! it is dropped.
//!
//! Names of schemas, tables and the like come from the catalogue and are quoted by PostgreSQL itself (`format` with `%I`, manual §9.4.1), whatever they hold
//! (CVE-2026-39946). A user that is not there is nothing to do; one that owns something stays, and the revocation fails and is tried again.

use super::statement::literal;

/// Revokes privileges, object by object: only on what has a grant to the user, since revoking others' grants can be an error.
const BODY: &str = r#"
  target regrole;
  granted record;
BEGIN
  SELECT oid::regrole INTO target FROM pg_catalog.pg_roles WHERE rolname = named;
  IF target IS NULL THEN
    RETURN;
  END IF;
  EXECUTE pg_catalog.format('ALTER ROLE %I WITH NOLOGIN', named);
  BEGIN
    PERFORM pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE usename = named;
  EXCEPTION WHEN insufficient_privilege THEN
    NULL;
  END;
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
    EXECUTE pg_catalog.format('REVOKE ALL PRIVILEGES ON %s %I.%I FROM %I', granted.kind, granted.schema, granted.name, named);
  END LOOP;
  FOR granted IN
    SELECT p.oid::regprocedure::text AS name, CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END AS kind
    FROM pg_catalog.pg_proc p
    WHERE EXISTS (SELECT FROM pg_catalog.aclexplode(p.proacl) a WHERE a.grantee = target)
  LOOP
    EXECUTE pg_catalog.format('REVOKE ALL PRIVILEGES ON %s %s FROM %I', granted.kind, granted.name, named);
  END LOOP;
  FOR granted IN
    SELECT n.nspname AS name FROM pg_catalog.pg_namespace n
    WHERE EXISTS (SELECT FROM pg_catalog.aclexplode(n.nspacl) a WHERE a.grantee = target)
  LOOP
    EXECUTE pg_catalog.format('REVOKE ALL PRIVILEGES ON SCHEMA %I FROM %I', granted.name, named);
  END LOOP;
  FOR granted IN
    SELECT d.datname AS name FROM pg_catalog.pg_database d
    WHERE EXISTS (SELECT FROM pg_catalog.aclexplode(d.datacl) a WHERE a.grantee = target)
  LOOP
    EXECUTE pg_catalog.format('REVOKE ALL PRIVILEGES ON DATABASE %I FROM %I', granted.name, named);
  END LOOP;
  EXECUTE pg_catalog.format('DROP ROLE IF EXISTS %I', named);
END
"#;

/// The statement that takes a user back. The user's name stands in it once, as a literal, and the body ends nowhere in it: a name made here holds no `$`, and
/// another is quoted until it holds none.
pub(super) fn statement(username: &str) -> String {
    let named = literal(username).replace('$', "' || pg_catalog.chr(36) || '");
    format!("DO $countersign$\nDECLARE\n  named CONSTANT name := {named};{BODY}$countersign$")
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
            let statement = statement(name);
            let expected = format!("named CONSTANT name := {written};\n");
            assert!(statement.contains(&expected), "{statement}");
            assert_eq!(statement.matches("$countersign$").count(), 2);
        }
        assert!(!BODY.contains('$'));
    }
}
