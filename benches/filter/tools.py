"""One run of another tool, in a process of its own: `tools.py TOOL KIND POLICY IN OUT`.

Every tool works on one thread and gets its fastest form that we know: explicit types, dates as
text where they come as text, predicates folded by hand.
"""

import os
import sys

import policies

# What NDJSON and CSV hold, in each tool's words for integer, boolean and number; the rest is text.
PLAIN = {"id": "integer", "consent": "boolean", "score": "integer", "balance": "number"}


def columns(integer, boolean, number, text):
    words = {"integer": integer, "boolean": boolean, "number": number, "text": text}
    return {name: words[PLAIN.get(name, "text")] for name in policies.SCHEMA}


def duckdb(kind, policy, source, target):
    import duckdb

    connection = duckdb.connect()
    connection.execute("SET threads = 1")
    types = columns("BIGINT", "BOOLEAN", "DOUBLE", "VARCHAR")
    if kind == "ndjson":
        read = f"read_json('{source}', format = 'newline_delimited', columns = {types})"
        write = "FORMAT json"
    elif kind == "csv":
        read = f"read_csv('{source}', header = true, auto_detect = false, columns = {types})"
        write = "FORMAT csv, HEADER true"
    else:
        read = f"read_parquet('{source}')"
        write = "FORMAT parquet, COMPRESSION zstd"
    date = "DATE '{}'" if kind == "parquet" else "'{}'"
    where = policy.sql(date=date)
    connection.execute(f"COPY (SELECT * FROM {read} WHERE {where}) TO '{target}' ({write})")


def duckdb_lines(kind, policy, source, target):
    import duckdb

    connection = duckdb.connect()
    connection.execute("SET threads = 1")
    paths = [f"$.{name}" for name in policy.columns]
    if len(paths) == 1:
        fields, place = f"json_extract_string(line, '{paths[0]}')", {policy.columns[0]: "v"}
    else:
        fields = f"json_extract_string(line, {paths})"
        place = {name: f"v[{i}]" for i, name in enumerate(policy.columns, 1)}
    casts = {"integer": "BIGINT", "number": "DOUBLE"}

    def column(name):
        cast = casts.get(PLAIN.get(name))
        return f"CAST({place[name]} AS {cast})" if cast else place[name]

    where = policy.sql(column, true="{} = 'true'")
    never = "\x01"
    read = (
        f"read_csv('{source}', columns = {{'line': 'VARCHAR'}}, auto_detect = false, header = false,"
        f" delim = '{never}', quote = '', escape = '')"
    )
    connection.execute(
        f"COPY (SELECT line FROM (SELECT line, {fields} AS v FROM {read}) WHERE {where})"
        f" TO '{target}' (FORMAT csv, HEADER false, DELIMITER '{never}', QUOTE '', ESCAPE '')"
    )


def polars(kind, policy, source, target):
    import polars as pl

    types = columns(pl.Int64, pl.Boolean, pl.Float64, pl.String)

    def one(condition):
        column, value = pl.col(condition.column), condition.value
        match condition.operator:
            case "not_in":
                return ~column.is_in(value)
            case "in":
                return column.is_in(value)
            case "is_true":
                return column
            case "between":
                return column.is_between(*value)
            case "ends_with":
                return column.str.ends_with(value)
            case "greater_than_or_equal" if kind == "parquet":
                return column >= pl.lit(value).str.to_date()
            case "greater_than_or_equal":
                return column >= value

    terms = [one(condition) for condition in policy.folded()]
    join = pl.all_horizontal if policy.junction == "and" else pl.any_horizontal
    where = terms[0] if len(terms) == 1 else join(terms)
    if kind == "ndjson":
        pl.scan_ndjson(source, schema=types).filter(where).sink_ndjson(target)
    elif kind == "csv":
        pl.scan_csv(source, schema=types).filter(where).sink_csv(target)
    else:
        pl.scan_parquet(source).filter(where).sink_parquet(target, compression="zstd")


def datafusion(kind, policy, source, target):
    import datafusion as df
    import pyarrow as pa

    context = df.SessionContext(df.SessionConfig().with_target_partitions(1))
    types = columns(pa.int64(), pa.bool_(), pa.float64(), pa.string())
    schema = pa.schema(list(types.items()))
    if kind == "ndjson":
        context.register_json("t", source, schema=schema, file_extension=".ndjson")
    elif kind == "csv":
        context.register_csv("t", source, schema=schema)
    else:
        context.register_parquet("t", source)
    date = "DATE '{}'" if kind.startswith("parquet") else "'{}'"
    stored = {"ndjson": "JSON", "csv": "CSV", "parquet": "PARQUET", "parquet-arrow": "ARROW"}[kind]
    query = f"SELECT * FROM t WHERE {policy.sql(date=date)}"
    context.sql(f"COPY ({query}) TO '{target}' STORED AS {stored}").collect()


CHDB_SETTINGS = (
    "max_threads = 1, max_insert_threads = 1, input_format_parallel_parsing = 0,"
    " output_format_parallel_formatting = 0, engine_file_truncate_on_insert = 1"
)


def chdb(kind, policy, source, target):
    import chdb

    types = columns("Int64", "Nullable(Bool)", "Float64", "String")
    for name in ["country", "notes"]:
        types[name] = "Nullable(String)"
    structure = ", ".join(f"{name} {type_}" for name, type_ in types.items())
    form = {"ndjson": "JSONEachRow", "csv": "CSVWithNames"}[kind]
    settings = CHDB_SETTINGS
    if kind == "ndjson":
        settings += ", output_format_json_quote_64bit_integers = 0"
    chdb.query(
        f"INSERT INTO FUNCTION file('{target}', '{form}', '{structure}')"
        f" SELECT * FROM file('{source}', '{form}', '{structure}')"
        f" WHERE {policy.sql()} SETTINGS {settings}"
    )


def chdb_lines(kind, policy, source, target, functions=None):
    import chdb

    functions = functions or {
        "integer": "JSONExtractInt(line, '{}')",
        "boolean": "JSONExtractBool(line, '{}')",
        "number": "JSONExtractFloat(line, '{}')",
        # NULL where the value is null.
        "nullable": "JSONExtract(line, '{}', 'Nullable(String)')",
        "text": "JSONExtractString(line, '{}')",
    }

    def column(name):
        kind = "nullable" if name == "country" else PLAIN.get(name, "text")
        return functions[kind].format(name)

    # Each field is extracted once, however many conditions read it.
    fields = ", ".join(f"{column(name)} AS {name}" for name in policy.columns)
    chdb.query(
        f"INSERT INTO FUNCTION file('{target}', 'TSVRaw', 'line String')"
        f" WITH {fields} SELECT line FROM file('{source}', 'LineAsString', 'line String')"
        f" WHERE {policy.sql()} SETTINGS {CHDB_SETTINGS}"
    )


def chdb_simple(kind, policy, source, target):
    """ClickHouse's functions that search for the key and do not parse."""
    functions = {
        "integer": "simpleJSONExtractInt(line, '{}')",
        "boolean": "simpleJSONExtractBool(line, '{}')",
        "number": "simpleJSONExtractFloat(line, '{}')",
        # Empty where the value is null.
        "nullable": "nullIf(simpleJSONExtractString(line, '{}'), '')",
        "text": "simpleJSONExtractString(line, '{}')",
    }
    chdb_lines(kind, policy, source, target, functions)


def pyarrow(kind, policy, source, target):
    import datetime
    import decimal
    import functools

    import pyarrow as pa
    import pyarrow.compute as pc

    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)

    def one(batch, condition):
        column, value = batch.column(condition.column), condition.value
        match condition.operator:
            case "not_in":
                found = pc.is_in(column, value_set=pa.array(value, column.type))
                return pc.and_(pc.is_valid(column), pc.invert(found))
            case "in":
                return pc.is_in(column, value_set=pa.array(value, column.type))
            case "is_true":
                return column
            case "between":
                exact = decimal.Decimal if pa.types.is_decimal(column.type) else int
                low, high = (pa.scalar(exact(v), column.type) for v in value)
                return pc.and_(pc.greater_equal(column, low), pc.less_equal(column, high))
            case "ends_with":
                return pc.ends_with(column, value)
            case "greater_than_or_equal":
                return pc.greater_equal(column, pa.scalar(datetime.date.fromisoformat(value)))

    join = pc.and_kleene if policy.junction == "and" else pc.or_kleene
    conditions = policy.folded()
    with pa.OSFile(source) as file, pa.OSFile(target, "wb") as out:
        reader = pa.ipc.open_stream(file)
        with pa.ipc.new_stream(out, reader.schema) as writer:
            for batch in reader:
                mask = functools.reduce(join, (one(batch, c) for c in conditions))
                writer.write_batch(batch.filter(mask))


def convert(kind, policy, source, target):
    """Makes the Arrow stream and the Parquet file of the CSV file."""
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    types = columns(pa.int64(), pa.bool_(), pa.decimal128(12, 2), pa.string())
    types |= {"signup_date": pa.date32(), "last_seen": pa.timestamp("us", "UTC")}
    options = pa.csv.ConvertOptions(
        column_types=types, strings_can_be_null=True, quoted_strings_can_be_null=False
    )
    schema = pa.schema(list(types.items()))
    # 16,384 rows are about 5 MB.
    with pa.csv.open_csv(source, convert_options=options) as reader:
        table = reader.read_all()
    if kind == "arrow":
        with pa.OSFile(target, "wb") as out, pa.ipc.new_stream(out, schema) as writer:
            for batch in table.combine_chunks().to_batches(max_chunksize=16_384):
                writer.write_batch(batch)
    else:
        pa.parquet.write_table(table, target, compression="zstd", row_group_size=131_072)


def count(kind, policy, source, target):
    """Prints how many rows an Arrow stream or file, or a Parquet file has."""
    import pyarrow as pa
    import pyarrow.parquet

    if kind == "parquet":
        print(pa.parquet.ParquetFile(source).metadata.num_rows)
        return
    with pa.OSFile(source) as file:
        is_file = file.read(6) == b"ARROW1"
        file.seek(0)
        opened = pa.ipc.open_file(file) if is_file else pa.ipc.open_stream(file)
        print(opened.read_all().num_rows)


if __name__ == "__main__":
    tool, kind, name, source, target = sys.argv[1:]
    globals()[tool](kind, policies.POLICIES.get(name), source, target)
    # Nobody's threads are waited for, nobody's memory is given back.
    sys.stdout.flush()
    os._exit(0)
