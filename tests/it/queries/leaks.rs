//! Leaks that row-level security is known for, by name: in both worlds the same, and where it
//! says so, different without a guard, so that each is known to ask for a leak.

use super::world::{Kind, Layout, MARK, Plot, Worlds, ask};

/// What a statement has to do in the world of visible rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Success,
    /// It may be refused, as long as it is in both worlds.
    Either,
    Refusal,
}
use Expected::{Either, Refusal, Success};

const FILES: [Kind; 3] = [Kind::Memory, Kind::Parquet, Kind::ParquetPushdown];

async fn pairs(kinds: &[Kind], batch_rows: usize) -> Vec<Worlds> {
    let mut pairs = Vec::new();
    for kind in kinds {
        for (visible, layout) in [
            (10, Layout::Interleaved),
            (50, Layout::Clustered),
            (90, Layout::Interleaved),
        ] {
            let seed = 10 + visible as u64;
            pairs.push(
                Worlds::of(Plot {
                    kind: *kind,
                    visible,
                    layout,
                    batch_rows,
                    seed,
                })
                .await,
            );
        }
    }
    pairs
}

/// Checks that statements do the same in both worlds and show no mark; and with `bites`, that in
/// some world each would show something else if nothing were guarded.
async fn hold(statements: &[&str], expected: Expected, bites: bool) {
    let pairs = pairs(&FILES, 16).await;
    for sql in statements {
        let mut bitten = false;
        for worlds in &pairs {
            let all = ask(&worlds.all, sql, &[]).await;
            let visible = ask(&worlds.visible, sql, &[]).await;
            let context = format!(
                "{:?}\n{sql}\n\nall rows and a policy:\n{}\n\nthe visible rows:\n{}",
                worlds.plot,
                all.shown(),
                visible.shown()
            );
            assert!(all.same(&visible), "{context}");
            assert!(!all.everything().contains(MARK), "{context}");
            match expected {
                Success => assert!(visible.succeeded(), "{context}"),
                Refusal => assert!(!visible.succeeded(), "{context}"),
                Either => {}
            }
            bitten |= !ask(&worlds.bare, sql, &[]).await.same(&visible);
        }
        assert!(bitten || !bites, "asks for no leak: {sql}");
    }
}

async fn hide(statements: &[&str]) {
    hold(statements, Success, true).await;
}

#[tokio::test]
async fn division_by_zero_in_where() {
    hide(&[
        "SELECT id FROM customers WHERE 1000 / score > 3",
        "SELECT count(*) FROM orders WHERE 7 % quantity = 1",
        "SELECT id FROM events WHERE share >= 0 AND 1000 / size > 0",
        "SELECT id FROM customers WHERE CAST(1 AS DECIMAL(10,2)) / score > 0",
        "SELECT id FROM customers WHERE NOT (1000 / score <= 3)",
        "SELECT id FROM customers WHERE CASE WHEN share >= 0 THEN 1000 / score > 3 END",
    ])
    .await;
}

#[tokio::test]
async fn cast_error_in_where() {
    hide(&[
        "SELECT id FROM customers WHERE CAST(code AS BIGINT) >= 0",
        "SELECT id FROM orders WHERE note::INT > 10",
        "SELECT id FROM events WHERE CAST(payload AS DECIMAL(10,2)) > 1",
        "SELECT id FROM customers WHERE CAST(score AS SMALLINT) > 0",
        "SELECT id FROM customers WHERE CAST(born AS TIMESTAMP) > TIMESTAMP '1980-01-01T00:00:00'",
        "SELECT id FROM customers WHERE code = '7' OR CAST(code AS BIGINT) > 7",
    ])
    .await;
}

#[tokio::test]
async fn computed_select_item_on_parquet() {
    hide(&[
        "SELECT 1000 / score FROM customers",
        "SELECT id + CAST(code AS BIGINT) FROM customers",
        "SELECT id, CAST(note AS INT) % 7 FROM orders LIMIT 4",
        "SELECT upper(code) FROM customers",
        "SELECT tags[1], array_length(tags) FROM customers",
    ])
    .await;
}

#[tokio::test]
async fn arrow_cast() {
    hold(
        &[
            "SELECT id FROM customers WHERE arrow_cast(code, 'Int64') > 0",
            "SELECT arrow_cast(code, 'Int8') FROM customers",
        ],
        Either,
        false,
    )
    .await;
}

#[tokio::test]
async fn in_and_exists_subqueries() {
    hide(&[
        "SELECT id FROM orders WHERE customer_id IN \
         (SELECT id FROM customers WHERE 1000 / score > 0)",
        "SELECT id FROM orders WHERE customer_id NOT IN (SELECT id FROM customers)",
        "SELECT o.id FROM orders o WHERE EXISTS (SELECT 1 FROM customers c \
         WHERE c.id = o.customer_id AND CAST(c.code AS BIGINT) > 0)",
        "SELECT o.id FROM orders o WHERE NOT EXISTS (SELECT 1 FROM customers c \
         WHERE c.id = o.customer_id)",
        "SELECT (SELECT max(code) FROM customers), (SELECT count(*) FROM orders)",
        "SELECT id FROM orders WHERE quantity > (SELECT min(1000 / score) FROM customers)",
    ])
    .await;
}

#[tokio::test]
async fn having() {
    hide(&[
        "SELECT share % 2, count(*) FROM customers GROUP BY share % 2 HAVING min(1000 / score) < 900",
        "SELECT count(*) FROM orders HAVING sum(CAST(note AS BIGINT)) > 0",
        "SELECT zone FROM events GROUP BY zone HAVING max(payload) > '0'",
    ])
    .await;
}

#[tokio::test]
async fn order_by_limit() {
    hide(&[
        "SELECT id FROM customers ORDER BY 1000 / score DESC, id LIMIT 3",
        "SELECT id FROM customers ORDER BY id DESC LIMIT 3",
        "SELECT code FROM customers ORDER BY code DESC LIMIT 1",
        "SELECT id FROM orders WHERE 1000 / quantity > 0 ORDER BY price DESC LIMIT 2",
        "SELECT id FROM events LIMIT 5",
        "SELECT id FROM events LIMIT 3 OFFSET 2",
        "SELECT zone, max(share) FROM events GROUP BY zone ORDER BY max(share) DESC LIMIT 1",
    ])
    .await;
}

#[tokio::test]
async fn self_join_on_expression() {
    hide(&[
        "SELECT count(*) FROM customers a JOIN customers b ON 1000 / a.score = 1000 / b.score",
        "SELECT a.id, b.id FROM customers a LEFT JOIN customers b \
         ON CAST(a.code AS BIGINT) % 5 = CAST(b.code AS BIGINT) % 5",
        "SELECT count(*) FROM orders a FULL JOIN orders b ON a.id = b.customer_id",
    ])
    .await;
}

#[tokio::test]
async fn min_max_count_from_statistics() {
    hide(&[
        "SELECT min(share), max(share), count(*), count(share) FROM customers",
        "SELECT max(zone), min(zone), max(born), min(seen), max(code) FROM customers",
        "SELECT count(*) FROM orders",
        "SELECT count(DISTINCT zone), max(id) FROM events",
        "SELECT count(*) FROM customers a CROSS JOIN orders b",
    ])
    .await;
    hold(
        &[
            "SELECT approx_distinct(zone) FROM events",
            "SELECT approx_median(share) FROM orders",
        ],
        Either,
        false,
    )
    .await;
}

#[tokio::test]
async fn explain_shows_no_policy() {
    let statements = [
        "SELECT id FROM customers",
        "SELECT count(*) FROM orders",
        "SELECT id FROM customers WHERE id = 7",
        "SELECT id FROM customers WHERE country IN ('DE', 'US') AND id BETWEEN 1 AND 20",
        "SELECT c.id, o.item FROM customers c JOIN orders o ON o.customer_id = c.id \
         WHERE o.price > 3 ORDER BY o.price LIMIT 5",
        "SELECT kind, max(amount) FROM events GROUP BY kind",
    ];
    for worlds in pairs(&FILES, 16).await {
        for sql in statements {
            let sql = format!("EXPLAIN {sql}");
            let all = ask(&worlds.all, &sql, &[]).await;
            let visible = ask(&worlds.visible, &sql, &[]).await;
            assert!(all.succeeded(), "{}", all.shown());
            assert!(all.same(&visible), "{}\n{}", all.shown(), visible.shown());
            let text = all.everything();
            let folder = worlds.folder().to_str().unwrap();
            for told in [
                MARK,
                "open-",
                "shut",
                "zone",
                "share",
                "parquet",
                "DataSource",
                "FilterExec",
                "Memory",
                "Statistics",
                "statistics",
                "Rows(",
                "Exact(",
                "row_group",
                folder,
            ] {
                assert!(!text.contains(told), "{told:?} in {text}");
            }
        }
    }
}

#[tokio::test]
async fn explain_analyze_is_refused() {
    hold(
        &[
            "EXPLAIN ANALYZE SELECT id FROM customers",
            "EXPLAIN ANALYZE VERBOSE SELECT id FROM customers",
            "EXPLAIN (ANALYZE) SELECT id FROM customers",
            "EXPLAIN (ANALYZE true, VERBOSE true) SELECT id FROM customers",
            "EXPLAIN EXPLAIN SELECT id FROM customers",
        ],
        Refusal,
        false,
    )
    .await;
    hold(&["EXPLAIN VERBOSE SELECT id FROM customers"], Either, false).await;
}

#[tokio::test]
async fn cte_named_like_a_model() {
    // What policies read is the model's own, whatever the statement calls by its name.
    hold(
        &[
            "WITH customers AS (SELECT 1 AS id, 'open-1' AS zone, 5 AS share) SELECT * FROM customers",
            "WITH zone AS (SELECT 'open-1' AS zone, 1 AS share) \
             SELECT zone.share FROM zone",
        ],
        Success,
        false,
    )
    .await;
    hide(&[
        "WITH customers AS (SELECT id, 'open-1' AS zone, 5 AS share FROM customers) \
         SELECT count(*), max(id) FROM customers",
        "WITH orders AS (SELECT * FROM customers) SELECT count(*), min(share) FROM orders",
        "WITH customers AS (SELECT * FROM events) SELECT c.id, public.customers.code \
         FROM customers c JOIN public.customers ON public.customers.id = c.id",
        "SELECT zone.id FROM (SELECT id, 'open-1' AS zone FROM customers) AS zone",
        "SELECT 'open-1' AS zone, 1 AS share, id FROM customers",
    ])
    .await;
}

/// The engine decides batch by batch whether the right side of AND is evaluated at all.
#[tokio::test]
async fn coalesced_batches_hide_batch_borders() {
    let statements = [
        "SELECT id FROM events WHERE amount <> 0 AND 1 / amount > 0",
        "SELECT id FROM events WHERE amount > 30 AND 100 / (amount - 31) > 0",
        "SELECT id FROM events WHERE amount = 0 OR 1 / amount > 0",
        "SELECT CASE WHEN amount = 0 THEN 0 ELSE 1 / amount END FROM events",
        "SELECT id, amount <> 0 AND 1 / amount > 0 FROM events",
        "SELECT id FROM events",
    ];
    let mut failed = 0;
    for seed in 0..24 {
        let worlds = Worlds::of(Plot {
            kind: if seed % 4 == 0 {
                Kind::Parquet
            } else {
                Kind::Memory
            },
            visible: [10, 50, 90][seed as usize % 3],
            layout: if seed % 2 == 0 {
                Layout::Interleaved
            } else {
                Layout::Clustered
            },
            batch_rows: [4, 7, 16][seed as usize % 3],
            seed: 40 + seed,
        })
        .await;
        for sql in statements {
            let all = ask(&worlds.all, sql, &[]).await;
            let visible = ask(&worlds.visible, sql, &[]).await;
            let plot = worlds.plot;
            assert!(
                all.same(&visible),
                "{plot:?} {sql}\n{}\n{}",
                all.shown(),
                visible.shown()
            );
            failed += u32::from(!visible.succeeded());
        }
    }
    assert!(failed > 0, "nothing depends on the borders of batches here");
}

#[tokio::test]
async fn set_operations_subqueries_and_laterals() {
    hide(&[
        "SELECT name FROM customers UNION ALL SELECT payload FROM events",
        "SELECT id FROM customers UNION SELECT id FROM orders",
        "SELECT * FROM customers EXCEPT SELECT * FROM customers WHERE zone = 'open-1'",
        "SELECT zone FROM customers INTERSECT SELECT zone FROM orders",
        "SELECT c.id, l.n FROM customers c CROSS JOIN LATERAL \
         (SELECT count(*) AS n FROM orders o WHERE o.customer_id = c.id) l",
        "SELECT x.code FROM (SELECT * FROM (SELECT * FROM customers) y) x",
        "SELECT public.customers.code FROM public.customers",
        "SELECT code FROM warehouse.public.customers",
        "SELECT c.d FROM customers AS c(a, b, c, d, e, f, g, h, i, j, k, l, m)",
        "SELECT count(*) FROM (VALUES (1)) v(x), customers",
        "SELECT sum(score) OVER (ORDER BY id), row_number() OVER (ORDER BY id DESC) FROM customers",
        "SELECT string_agg(code, ',') FROM customers",
        "SELECT zone FROM customers WHERE zone NOT LIKE 'open-%' OR zone IS NULL",
        "SELECT id FROM customers WHERE true",
        "SELECT id FROM customers WHERE share >= 1000 OR 1 = 1",
    ])
    .await;
}

/// Only models are there.
#[tokio::test]
async fn what_is_no_model_is_refused() {
    hold(
        &[
            "SELECT * FROM information_schema.tables",
            "SELECT * FROM information_schema.df_settings",
            "SELECT * FROM information_schema.routines",
            "SELECT * FROM warehouse.information_schema.columns",
            "SELECT * FROM pg_catalog.pg_class",
            "SELECT * FROM private.customers",
            "SELECT * FROM datafusion.public.customers",
            "SELECT * FROM \"/etc/passwd\"",
            "SELECT * FROM '/etc/passwd'",
            "SELECT * FROM \"customers.parquet\"",
            "SELECT * FROM \"file:///etc/passwd\"",
            "SELECT * FROM generate_series(1, 10)",
            "SELECT * FROM range(1, 10)",
            "SELECT * FROM read_parquet('customers.parquet')",
            "SELECT * FROM read_csv('/etc/passwd')",
            "SELECT * FROM parquet_metadata('customers.parquet')",
            "SELECT * FROM customers; SELECT * FROM orders",
            "SHOW TABLES",
            "SHOW ALL",
            "SHOW COLUMNS FROM customers",
            "SHOW CREATE TABLE customers",
            "SHOW FUNCTIONS",
            "DESCRIBE customers",
            "SET datafusion.explain.show_statistics = true",
            "RESET datafusion.execution.batch_size",
            "CREATE TABLE copy AS SELECT * FROM customers",
            "CREATE VIEW copy AS SELECT * FROM customers",
            "CREATE EXTERNAL TABLE passwd STORED AS CSV LOCATION '/etc/passwd'",
            "COPY customers TO '/tmp/customers.csv'",
            "COPY (SELECT * FROM customers) TO '/tmp/customers.parquet'",
            "EXPLAIN COPY (SELECT * FROM customers) TO '/tmp/customers.parquet'",
            "INSERT INTO customers SELECT * FROM customers",
            "UPDATE customers SET share = 1",
            "DELETE FROM customers",
            "TRUNCATE TABLE customers",
            "DROP TABLE customers",
            "SELECT * INTO copy FROM customers",
            "PREPARE p AS SELECT * FROM customers",
            "EXECUTE p",
            "WITH RECURSIVE n AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM n WHERE x < 9) \
             SELECT * FROM n",
            "",
        ],
        Refusal,
        false,
    )
    .await;
}

#[tokio::test]
async fn a_refusal_names_no_path_and_no_other_table() {
    for worlds in pairs(&FILES, 16).await {
        for sql in [
            "SELECT * FROM nothing",
            "SELECT * FROM \"customers.parquet\"",
            "SELECT nothing FROM customers",
            "SELECT id FROM customers WHERE nothing(id)",
        ] {
            let text = ask(&worlds.all, sql, &[]).await.everything();
            let folder = worlds.folder().to_str().unwrap();
            for told in [MARK, "orders", "events", folder] {
                assert!(!text.contains(told), "{sql}: {told:?} in {text}");
            }
        }
    }
}

/// Errors of visible rows come, and quote none of them.
#[tokio::test]
async fn an_error_quotes_no_value() {
    for worlds in pairs(&FILES, 16).await {
        for sql in [
            "SELECT CAST(zone AS BIGINT) FROM customers",
            "SELECT CAST(zone AS DATE) FROM customers",
            "SELECT CAST(zone AS DECIMAL(5,2)) FROM customers",
            "SELECT arrow_cast(zone, 'Int8') FROM customers",
            "SELECT id FROM customers WHERE zone::TIMESTAMP IS NULL",
        ] {
            let all = ask(&worlds.all, sql, &[]).await;
            let visible = ask(&worlds.visible, sql, &[]).await;
            assert!(
                all.same(&visible),
                "{sql}\n{}\n{}",
                all.shown(),
                visible.shown()
            );
            let error = all.error.expect("no zone is a number");
            assert!(!error.contains("open-"), "{sql}: {error}");
        }
    }
}
