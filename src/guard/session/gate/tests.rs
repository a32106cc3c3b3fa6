use super::super::planned::{BOUNDS, plan};
use super::*;

fn kind(sql: &str) -> Result<(), FaultKind> {
    parse(sql, &BOUNDS).map(drop).map_err(|fault| fault.kind)
}

#[test]
fn queries_are_accepted() {
    for sql in [
        "SELECT 1",
        "select 1;",
        "  -- a comment\n SELECT 1 /* another; */ ; -- the end",
        "VALUES (1, 'a'), (2, 'b')",
        "(SELECT 1) UNION ALL (SELECT 2) ORDER BY 1 LIMIT 1",
        "WITH a AS (SELECT * FROM t) SELECT * FROM a JOIN a b USING (id)",
        "SELECT id FROM t EXCEPT SELECT id FROM u",
        "SELECT t.id, count(*) OVER (PARTITION BY x) FROM w.public.t AS t WHERE x ~ 'a' LIMIT 3",
        "SELECT * FROM t WHERE id IN (SELECT id FROM u) AND EXISTS (SELECT 1 FROM u)",
        "SELECT unnest(tags) FROM t",
        "SELECT * FROM unnest(ARRAY[1, 2]) AS a(v)",
        "SELECT * FROM t, LATERAL (SELECT t.id + 1 AS next) AS l",
        "SELECT ';' AS \"a;b\", $$;$$, $1, E'\\';'",
        "SELECT \"select\" FROM \"/etc/passwd\"",
        "SELECT x FROM t GROUP BY CUBE (x, y), ROLLUP (id) HAVING count(*) > 1",
        "SELECT arrow_cast(x, 'Int64') FROM t",
        "SELECT x FROM t FETCH FIRST 3 ROWS ONLY",
    ] {
        assert_eq!(kind(sql), Ok(()), "{sql}");
        assert!(matches!(parse(sql, &BOUNDS), Ok(Accepted::Query(_))));
        let explain = format!("EXPLAIN {sql}");
        assert!(
            matches!(parse(&explain, &BOUNDS), Ok(Accepted::Explain(_))),
            "{explain}"
        );
    }
}

#[test]
fn what_changes_or_reaches_outside_is_refused() {
    for sql in [
        "INSERT INTO t VALUES (1)",
        "UPDATE t SET x = 1",
        "DELETE FROM t",
        "MERGE INTO t USING u ON true WHEN MATCHED THEN DELETE",
        "TRUNCATE t",
        "DROP TABLE t",
        "CREATE TABLE a AS SELECT 1",
        "CREATE VIEW a AS SELECT 1",
        "CREATE EXTERNAL TABLE a STORED AS CSV LOCATION '/etc/passwd'",
        "CREATE FUNCTION f() RETURNS int RETURN 1",
        "COPY t TO '/tmp/t'",
        "COPY (SELECT 1) TO '/tmp/t'",
        "COPY t FROM '/tmp/t'",
        "SET a = 1",
        "SET datafusion.execution.batch_size = 1",
        "RESET a",
        "SHOW ALL",
        "DESCRIBE t",
        "TABLE t",
        "BEGIN",
        "COMMIT",
        "USE a",
        "PREPARE p AS SELECT 1",
        "EXECUTE p",
        "DEALLOCATE p",
        "DECLARE c CURSOR FOR SELECT 1",
        "CALL f()",
        "GRANT SELECT ON t TO a",
        "VACUUM",
        "LOAD DATA",
        "EXPLAIN ANALYZE SELECT 1",
        "EXPLAIN VERBOSE SELECT 1",
        "EXPLAIN ANALYZE VERBOSE SELECT 1",
        "EXPLAIN FORMAT TREE SELECT 1",
        "EXPLAIN (ANALYZE) SELECT 1",
        "EXPLAIN (FORMAT JSON, COSTS ON) SELECT 1",
        "EXPLAIN EXPLAIN SELECT 1",
        "EXPLAIN INSERT INTO t VALUES (1)",
        "EXPLAIN COPY t TO '/tmp/t'",
        "EXPLAIN CREATE TABLE a AS SELECT 1",
        "/* SELECT */ DROP TABLE t -- SELECT",
        "SELECT * INTO a FROM t",
        "WITH a AS (SELECT 1) SELECT * INTO b FROM a",
        "SELECT * FROM (SELECT * INTO a FROM t) b",
        "SELECT * FROM t FOR UPDATE",
        "SELECT * FROM t FOR SHARE",
        "SELECT * FROM (SELECT * FROM t FOR UPDATE) a",
        "WITH a AS (INSERT INTO t VALUES (1) RETURNING id) SELECT * FROM a",
        "WITH a AS (UPDATE t SET x = 1 RETURNING id) SELECT * FROM a",
        "WITH a AS (DELETE FROM t RETURNING id) SELECT * FROM a",
        "WITH a AS (SELECT 1) INSERT INTO t SELECT * FROM a",
        "WITH a AS (SELECT 1) DELETE FROM t",
        "WITH RECURSIVE a AS (SELECT 1 UNION ALL SELECT * FROM a) SELECT * FROM a",
        "SELECT (WITH RECURSIVE a AS (SELECT 1) SELECT * FROM a)",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM t WHERE id IN (SELECT * FROM 'a.parquet')",
        "SELECT * FROM generate_series(1, 10)",
        "SELECT * FROM range(1, 10)",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM t, LATERAL generate_series(1, t.id)",
        "SELECT (SELECT count(*) FROM generate_series(1, 10))",
        "SELECT * FROM t TABLESAMPLE BERNOULLI (10)",
    ] {
        assert_eq!(kind(sql), Err(FaultKind::NotPermitted), "{sql}");
    }
}

#[test]
fn what_is_no_statement_or_two_is_a_syntax_fault() {
    for sql in [
        "",
        "   ",
        ";",
        "-- nothing",
        "/* nothing */ ;",
        "EXPLAIN",
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP TABLE t",
        "SELECT 1;;",
        "SELECT 1 /* ; */ ; /* */ DROP TABLE t",
        "SELECT 1) ",
        "SELECT 'open",
        "SELECT /* open",
        "selct 1",
        "42",
        "SELECT 1 SELECT 2",
    ] {
        assert_eq!(kind(sql), Err(FaultKind::Syntax), "{sql}");
    }
}

#[test]
fn a_refusal_says_what_is_accepted() {
    for sql in ["DROP TABLE t", "SELECT 1 INTO a", "EXPLAIN DELETE FROM t"] {
        let message = parse(sql, &BOUNDS).unwrap_err().message;
        assert!(message.contains("only SELECT is accepted"), "{message}");
    }
}

#[test]
fn what_would_be_too_large_is_refused_before_it_is_built() {
    let with = |levels: usize| {
        let mut sql = "WITH a0 AS (SELECT 1 AS v)".to_owned();
        for level in 1..=levels {
            let below = level - 1;
            sql += &format!(", a{level} AS (SELECT l.*, r.* FROM a{below} l, a{below} r)");
        }
        sql + &format!(" SELECT * FROM a{levels}")
    };
    assert_eq!(kind(&with(5)), Ok(()));
    let long = "x".repeat(BOUNDS.text_bytes);
    for sql in [
        format!("SELECT '{long}'"),
        with(30),
        format!("SELECT {}1", "1+".repeat(5_000)),
        format!("SELECT id {}FROM t", "IS NULL ".repeat(5_000)),
        format!("SELECT 1 WHERE {}true", "true OR ".repeat(5_000)),
        format!("SELECT (((x{} FROM t", "[1]".repeat(5_000)),
        format!("SELECT NULL::INT{}", "[]".repeat(5_000)),
        format!("SELECT {}1{}", "(".repeat(200), ")".repeat(200)),
        format!("SELECT {}1", "- ".repeat(200)),
        format!("SELECT a{}", ".a".repeat(200)),
        format!("SELECT 1 {}", "UNION SELECT 1 ".repeat(500)),
        format!("SELECT x FROM t GROUP BY CUBE ({})", ["x"; 40].join(", ")),
        format!(
            "SELECT x FROM t GROUP BY {}",
            ["CUBE (x, y, id)"; 9].join(", ")
        ),
        format!("SELECT arrow_cast(x, '{}') FROM t", "List(".repeat(500)),
        format!("SELECT arrow_cast(x, ('{}')) FROM t", "List(".repeat(500)),
        format!("SELECT 1 FROM t{}", ", t".repeat(150)),
        format!(
            "SELECT {}1 AS a FROM t HAVING 1 IN ({})",
            "id + ".repeat(500),
            vec!["a"; 5_000].join(", ")
        ),
    ] {
        let head: String = sql.chars().take(80).collect();
        assert_eq!(kind(&sql), Err(FaultKind::TooComplex), "{head}");
    }
}

#[test]
fn long_lists_are_no_chain() {
    let numbers: Vec<String> = (0..20_000).map(|number| format!("-{number}")).collect();
    let sql = format!("SELECT id FROM t WHERE id IN ({})", numbers.join(", "));
    assert_eq!(kind(&sql), Ok(()));
    // The plan is another matter.
    let fault = check(&plan(&sql).unwrap(), &BOUNDS).unwrap_err();
    assert_eq!(fault.kind, FaultKind::TooComplex);
}

#[test]
fn plans_of_queries_are_accepted() {
    for sql in [
        "SELECT 1",
        "VALUES (1, 'a'), (2, 'b')",
        "SELECT x, count(*) FROM t WHERE id > 1 GROUP BY x HAVING count(*) > 2 ORDER BY 2 LIMIT 3",
        "SELECT DISTINCT x FROM t UNION ALL SELECT y FROM u",
        "SELECT x FROM t INTERSECT SELECT y FROM u",
        "SELECT row_number() OVER (PARTITION BY x ORDER BY id) FROM t",
        "SELECT unnest(tags) FROM t",
        "SELECT * FROM t WHERE id IN (SELECT id FROM u WHERE u.x = t.x)",
        "SELECT (SELECT max(u.id) FROM u WHERE u.x = t.x) FROM t",
        "SELECT * FROM t JOIN LATERAL (SELECT t.id + 1 AS next) AS l ON true",
        "SELECT x, y, sum(n) FROM t GROUP BY ROLLUP (x, y)",
        "SELECT extract(year FROM now()), position('a' IN x), substring(x FROM 2) FROM t",
    ] {
        let plan = plan(sql).unwrap_or_else(|fault| panic!("{sql}: {fault}"));
        assert_eq!(check(&plan, &BOUNDS), Ok(()), "{sql}");
    }
}

#[test]
fn a_plan_that_shows_or_changes_is_refused() {
    use datafusion::logical_expr::{LogicalPlanBuilder, Partitioning};
    let input = || LogicalPlanBuilder::from(plan("SELECT id FROM t").unwrap());
    for refused in [
        input().explain(false, false),
        input().explain(false, true),
        input().repartition(Partitioning::RoundRobinBatch(2)),
    ] {
        let refused = refused.unwrap().build().unwrap();
        let fault = check(&refused, &BOUNDS).unwrap_err();
        assert_eq!(fault.kind, FaultKind::NotPermitted);
    }
}

#[test]
fn a_plan_with_many_nodes_is_refused_in_subqueries_too() {
    let columns = vec!["id + 1 + 1 + 1"; 20].join(" + ");
    let sql = format!("SELECT * FROM t WHERE id = (SELECT max({columns}) FROM u)");
    let plan = plan(&sql).unwrap();
    assert_eq!(check(&plan, &BOUNDS), Ok(()));
    let few = Bounds {
        plan_nodes: 100,
        ..BOUNDS
    };
    assert_eq!(check(&plan, &few).unwrap_err().kind, FaultKind::TooComplex);
}
