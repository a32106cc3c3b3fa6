use super::super::planned::{BOUNDS, plan};
use super::*;

fn grown(sql: &str) -> Result<(), QueryFault> {
    check(
        &plan(sql).unwrap_or_else(|fault| panic!("{sql}: {fault}")),
        &BOUNDS,
    )
}

/// A query that puts an expression of `v` on itself so many times.
fn nested(levels: usize, expression: &str) -> String {
    let mut sql = "SELECT x AS v, y FROM t".to_owned();
    for _ in 0..levels {
        sql = format!("SELECT {expression} AS v, y FROM ({sql}) AS a");
    }
    sql
}

/// The same with WITH, which nests no text.
fn chained(levels: usize, expression: &str) -> String {
    let mut sql = "WITH a0 AS (SELECT x AS v, n FROM t)".to_owned();
    for level in 1..=levels {
        let below = level - 1;
        sql += &format!(", a{level} AS (SELECT {expression} AS v, n FROM a{below})");
    }
    sql + &format!(" SELECT v FROM a{levels}")
}

#[test]
fn usual_queries_are_accepted() {
    for sql in [
        "SELECT x || ', ' || y || ': ' || id FROM t",
        "SELECT concat_ws('-', x, y, id, n), upper(trim(lower(x))), md5(concat(x, y)) FROM t",
        "SELECT replace(x, 'a', 'bc'), regexp_replace(x, '(.)a', '\\1b'), translate(x, 'a', 'b') FROM t",
        "SELECT lpad(id::text, 12, '0'), rpad(x, 20), repeat('-', 10), left(x, 3) FROM t",
        "SELECT coalesce(x, y, 'none'), nullif(x, ''), CASE WHEN id > 1 THEN x ELSE y END FROM t",
        "SELECT string_agg(x, ', ') FROM t",
        "SELECT y, array_to_string(array_agg(DISTINCT x), ', ') FROM t GROUP BY y ORDER BY y",
        "SELECT (SELECT string_agg(x, ', ') FROM t)",
        "SELECT array_length(array_agg(x)) FROM t",
        "SELECT ARRAY[x, y], named_struct('a', x), array_repeat(x, 3), string_to_array(x, ',') FROM t",
        "SELECT x FROM t WHERE x ~ '^a' AND y SIMILAR TO 'b%' AND regexp_like(x, 'c')",
        "SELECT to_char(now(), '%Y-%m-%d'), date_trunc('month', now()) FROM t",
        "SELECT repeat('x', 1000000)",
        "SELECT max(x), first_value(y ORDER BY id), count(*) FROM t",
        "SELECT lag(x) OVER (ORDER BY id), max(x) OVER (PARTITION BY y) FROM t",
        "SELECT x FROM t WHERE x ~ $1 AND y = $2",
        "SELECT u.x || t.x FROM t JOIN u ON t.id = u.id WHERE u.n > (SELECT avg(n) FROM t)",
        "SELECT x::varchar, id::text, n::text FROM t",
        &nested(3, "v || y"),
        &chained(40, "substr(v, 2)"),
    ] {
        assert_eq!(grown(sql), Ok(()), "{sql}");
    }
}

#[test]
fn growth_is_refused() {
    for sql in [
        nested(10, "v || v"),
        nested(10, "concat(v, v)"),
        nested(10, "concat_ws(v, v, v)"),
        nested(10, "replace(v, 'a', 'aaaa')"),
        nested(10, "regexp_replace(v, 'a', 'aaaa', 'g')"),
        nested(10, "repeat(v, 3)"),
        nested(10, "array_to_string(ARRAY[v, v], ',')"),
        nested(10, "array_to_string(array_repeat(v, 9), ',')"),
        nested(10, "coalesce(v || v, y)"),
        nested(10, "CASE WHEN y = '' THEN v || v ELSE v END"),
        nested(10, "(SELECT a.v || a.v)"),
        nested(10, "(SELECT max(a.v || a.v) FROM u WHERE u.y = a.y)"),
        chained(40, "v || v"),
        chained(20, "length(v || v || v)::text || v"),
        "SELECT x FROM t WHERE length(repeat(x, 1000000)) > 1".into(),
        "SELECT length(repeat('a', 200000000)) FROM t".into(),
        "SELECT s.v, t.id FROM (SELECT repeat('a', 30000000) AS v) AS s, t".into(),
        "SELECT repeat(x, id) FROM t".into(),
        "SELECT lpad(x, id) FROM t".into(),
        "SELECT lpad(x, 2000000000) FROM t".into(),
        "SELECT rpad(x, 1000 * 1000 * 1000) FROM t".into(),
        "SELECT array_repeat(1, 50000000) FROM t".into(),
        "SELECT array_resize(tags, 50000000) FROM t".into(),
        "SELECT replace(x, 'a', y) FROM t".into(),
        "SELECT regexp_replace(x, 'a', y) FROM t".into(),
        "SELECT array_to_string(tags, y) FROM t".into(),
        "SELECT array_replace(tags, 'a', y) FROM t".into(),
        "SELECT x ~ y FROM t".into(),
        "SELECT x SIMILAR TO y FROM t".into(),
        "SELECT regexp_count(x, '\\w{100}' || id) FROM t".into(),
        "SELECT NULL::INT[1000000000] FROM t".into(),
        "SELECT arrow_cast(x, 'FixedSizeBinary(1000000000)') FROM t".into(),
        "SELECT string_agg(x, ',') OVER (ORDER BY id) FROM t".into(),
        "SELECT array_agg(x) OVER (ORDER BY id) FROM t".into(),
        "SELECT a.v, t.id FROM (SELECT string_agg(x, ',') AS v FROM t) AS a, t".into(),
        "SELECT (SELECT string_agg(x, ',') FROM u) FROM t".into(),
        "SELECT repeat(string_agg(x, ','), 100) FROM t".into(),
        "SELECT id FROM t WHERE id IN (SELECT length(repeat(x, 1000000)) FROM u)".into(),
        "SELECT count(*) FROM t ORDER BY max(repeat(x, 1000000))".into(),
        "SELECT id FROM t JOIN u USING (id) WHERE repeat(t.x, 1000000) = u.x".into(),
        "SELECT id FROM t GROUP BY id, repeat(x, 1000000)".into(),
        "SELECT * FROM t, LATERAL (SELECT repeat(t.x, 1000000) AS v) AS l".into(),
    ] {
        let fault = grown(&sql).expect_err(&sql);
        assert_eq!(fault.kind, FaultKind::TooComplex, "{sql}");
    }
}

#[test]
fn many_values_of_a_row_are_as_bad_as_a_large_one() {
    let select = |columns: usize| {
        let columns: Vec<String> = (0..columns)
            .map(|index| format!("substr(x, {index}) AS c{index}"))
            .collect();
        format!("SELECT {} FROM t", columns.join(", "))
    };
    assert_eq!(grown(&select(100)), Ok(()));
    assert_eq!(grown(&select(400)).unwrap_err().kind, FaultKind::TooComplex);
}

#[test]
fn expressions_that_unfold_are_refused_whatever_their_type() {
    let doubled = |levels: usize| {
        let mut sql = "SELECT n FROM t".to_owned();
        for _ in 0..levels {
            sql = format!("SELECT n + n AS n FROM ({sql}) AS a");
        }
        format!("SELECT n FROM ({sql}) AS a WHERE n > 0")
    };
    assert_eq!(grown(&doubled(8)), Ok(()));
    assert_eq!(grown(&doubled(15)).unwrap_err().kind, FaultKind::TooComplex);
}

#[test]
fn a_literal_may_be_as_long_as_memory_allows() {
    let text = "a".repeat(30_000);
    assert_eq!(
        grown(&format!("SELECT id FROM t WHERE x = '{text}'")),
        Ok(())
    );
    assert_eq!(
        grown(&format!("SELECT '{text}' AS v FROM t LIMIT 10")),
        Ok(())
    );
    let much = format!("SELECT '{text}' AS v, '{text}' AS w FROM t");
    assert_eq!(grown(&much).unwrap_err().kind, FaultKind::TooComplex);
}
