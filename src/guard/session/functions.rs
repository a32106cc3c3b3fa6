//! The functions that queries may use: an allow-list.
//!
//! What is on it neither reaches outside nor tells how rows are stored, and builds no more than
//! `growth` can tell beforehand.

use std::sync::Arc;

use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::planner::ExprPlanner;
use datafusion::logical_expr::{AggregateUDF, HigherOrderUDF, ScalarUDF, WindowUDF};

/// Functions of one row.
const SCALAR: &[&str] = &[
    // any type
    "arrow_cast",
    "arrow_try_cast",
    "arrow_typeof",
    "cast_to_type",
    "coalesce",
    "get_field",
    "greatest",
    "least",
    "named_struct",
    "nullif",
    "nvl",
    "nvl2",
    "struct",
    "try_cast_to_type",
    "union_extract",
    "union_tag",
    // text
    "ascii",
    "bit_length",
    "btrim",
    "character_length",
    "chr",
    "concat",
    "concat_ws",
    "contains",
    "ends_with",
    "find_in_set",
    "initcap",
    "left",
    "lower",
    "lpad",
    "ltrim",
    "octet_length",
    "overlay",
    "repeat",
    "replace",
    "reverse",
    "right",
    "rpad",
    "rtrim",
    "split_part",
    "starts_with",
    "strpos",
    "substr",
    "substr_index",
    "to_hex",
    "translate",
    "upper",
    "uuid",
    // regular expressions
    "regexp_count",
    "regexp_instr",
    "regexp_like",
    "regexp_match",
    "regexp_replace",
    // bytes
    "decode",
    "digest",
    "encode",
    "md5",
    "sha224",
    "sha256",
    "sha384",
    "sha512",
    // dates and times
    "current_date",
    "current_time",
    "date_bin",
    "date_part",
    "date_trunc",
    "from_unixtime",
    "make_date",
    "make_time",
    "now",
    "to_char",
    "to_date",
    "to_local_time",
    "to_time",
    "to_timestamp",
    "to_timestamp_micros",
    "to_timestamp_millis",
    "to_timestamp_nanos",
    "to_timestamp_seconds",
    "to_unixtime",
    // numbers
    "abs",
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "cbrt",
    "ceil",
    "cos",
    "cosh",
    "cot",
    "degrees",
    "exp",
    "factorial",
    "floor",
    "gcd",
    "isnan",
    "iszero",
    "lcm",
    "ln",
    "log",
    "log10",
    "log2",
    "nanvl",
    "pi",
    "power",
    "radians",
    "random",
    "round",
    "signum",
    "sin",
    "sinh",
    "sqrt",
    "tan",
    "tanh",
    "trunc",
    // arrays
    "array_add",
    "array_any_value",
    "array_append",
    "array_avg",
    "array_compact",
    "array_concat",
    "array_dims",
    "array_distance",
    "array_distinct",
    "array_element",
    "array_except",
    "array_has",
    "array_has_all",
    "array_has_any",
    "array_intersect",
    "array_length",
    "array_max",
    "array_min",
    "array_ndims",
    "array_normalize",
    "array_pop_back",
    "array_pop_front",
    "array_position",
    "array_positions",
    "array_prepend",
    "array_product",
    "array_remove",
    "array_remove_all",
    "array_remove_n",
    "array_repeat",
    "array_replace",
    "array_replace_all",
    "array_replace_n",
    "array_resize",
    "array_reverse",
    "array_scale",
    "array_slice",
    "array_sort",
    "array_subtract",
    "array_sum",
    "array_to_string",
    "array_union",
    "arrays_zip",
    "cardinality",
    "cosine_distance",
    "empty",
    "flatten",
    "inner_product",
    "make_array",
    "string_to_array",
    // maps
    "map",
    "map_entries",
    "map_extract",
    "map_keys",
    "map_values",
];

/// Functions of many rows.
const AGGREGATE: &[&str] = &[
    "any_value",
    "approx_distinct",
    "approx_median",
    "array_agg",
    "avg",
    "bit_and",
    "bit_or",
    "bit_xor",
    "bool_and",
    "bool_or",
    "corr",
    "count",
    "covar_pop",
    "covar_samp",
    "first_value",
    "grouping",
    "last_value",
    "max",
    "median",
    "min",
    "nth_value",
    "percentile_cont",
    "regr_avgx",
    "regr_avgy",
    "regr_count",
    "regr_intercept",
    "regr_r2",
    "regr_slope",
    "regr_sxx",
    "regr_sxy",
    "regr_syy",
    "stddev",
    "stddev_pop",
    "string_agg",
    "sum",
    "var",
    "var_pop",
];

/// Functions of a row among others.
const WINDOW: &[&str] = &[
    "cume_dist",
    "dense_rank",
    "first_value",
    "lag",
    "last_value",
    "lead",
    "nth_value",
    "ntile",
    "percent_rank",
    "rank",
    "row_number",
];

/// The scalar functions of queries.
pub(super) fn scalar() -> Vec<Arc<ScalarUDF>> {
    let mut all = SessionStateDefaults::default_scalar_functions();
    all.retain(|function| SCALAR.contains(&function.name()));
    all
}

/// The aggregate functions of queries.
pub(super) fn aggregate() -> Vec<Arc<AggregateUDF>> {
    let mut all = SessionStateDefaults::default_aggregate_functions();
    all.retain(|function| AGGREGATE.contains(&function.name()));
    all
}

/// The window functions of queries.
pub(super) fn window() -> Vec<Arc<WindowUDF>> {
    let mut all = SessionStateDefaults::default_window_functions();
    all.retain(|function| WINDOW.contains(&function.name()));
    all
}

/// The functions of queries that take functions: none, since PostgreSQL has no lambdas.
pub(super) fn higher_order() -> Vec<Arc<HigherOrderUDF>> {
    Vec::new()
}

/// What turns operators and special syntax into calls of functions.
pub(super) fn planners() -> Vec<Arc<dyn ExprPlanner>> {
    SessionStateDefaults::default_expr_planners()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// What the engine has and queries do not, and why.
    const LEFT_OUT: &[(&str, &str)] = &[
        ("arrow_field", "metadata"),
        ("arrow_metadata", "metadata"),
        ("with_metadata", "metadata"),
        ("input_file_name", "metadata"),
        ("file_row_index", "metadata"),
        ("version", "door's"),
        ("levenshtein", "quadratic"),
        ("approx_percentile_cont", "unbounded"),
        ("approx_percentile_cont_with_weight", "unbounded"),
        ("range", "unbounded"),
        ("generate_series", "unbounded"),
        ("array_any_match", "lambda"),
        ("array_filter", "lambda"),
        ("array_first", "lambda"),
        ("array_transform", "lambda"),
    ];

    #[test]
    fn every_function_of_the_engine_is_allowed_or_left_out() {
        let engine: BTreeSet<String> = SessionStateDefaults::default_scalar_functions()
            .iter()
            .map(|function| function.name().to_owned())
            .chain(
                SessionStateDefaults::default_higher_order_functions()
                    .iter()
                    .map(|function| function.name().to_owned()),
            )
            .chain(
                SessionStateDefaults::default_aggregate_functions()
                    .iter()
                    .map(|function| function.name().to_owned()),
            )
            .chain(
                SessionStateDefaults::default_window_functions()
                    .iter()
                    .map(|function| function.name().to_owned()),
            )
            .collect();
        let decided: BTreeSet<String> = [SCALAR, AGGREGATE, WINDOW]
            .concat()
            .into_iter()
            .chain(LEFT_OUT.iter().map(|(name, _)| *name))
            .map(str::to_owned)
            .collect();
        let undecided: Vec<_> = engine.difference(&decided).collect();
        let gone: Vec<_> = decided.difference(&engine).collect();
        assert!(
            undecided.is_empty() && gone.is_empty(),
            "undecided: {undecided:?}; gone: {gone:?}"
        );
    }

    #[test]
    fn every_allowed_function_is_there() {
        assert_eq!(scalar().len(), SCALAR.len());
        assert_eq!(aggregate().len(), AGGREGATE.len());
        assert_eq!(window().len(), WINDOW.len());
        assert!(higher_order().is_empty());
    }

    #[test]
    fn what_is_left_out_has_no_other_name() {
        let names: BTreeSet<String> = scalar()
            .iter()
            .flat_map(|function| {
                let mut names = function.aliases().to_vec();
                names.push(function.name().to_owned());
                names
            })
            .collect();
        for (name, reason) in LEFT_OUT {
            assert!(!names.contains(*name), "{name}: {reason}");
        }
    }
}
