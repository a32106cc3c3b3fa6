import java.math.BigDecimal;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Types;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * pgjdbc: {@code java -cp postgresql.jar QueryJdbc.java rows | describe}. Where and who is in the
 * variables of libpq. Prints one JSON object: {@code rows} of everything by each way to fetch it,
 * {@code found} by parameters, and {@code faults}; or what the driver makes of the catalog.
 */
public class QueryJdbc {
    static final String ALL = "SELECT * FROM kinds ORDER BY id";
    static final String NAME = "O'Neil \"Ace\" \\ ünï 漢字,\n2nd\tline";
    /** From the sixth execution on, the driver asks for binary values. */
    static final int EXECUTIONS = 8;

    public static void main(String[] arguments) throws Exception {
        Map<String, String> env = System.getenv();
        String url = "jdbc:postgresql://" + env.get("PGHOST") + ":" + env.get("PGPORT") + "/"
            + env.get("PGDATABASE") + "?sslmode=prefer&socketTimeout=60";
        Map<String, Object> answer = new LinkedHashMap<>();
        try (Connection connection = DriverManager.getConnection(url, env.get("PGUSER"), env.get("PGPASSWORD"))) {
            if (arguments[0].equals("rows")) {
                answer.put("rows", rows(connection));
                answer.put("found", found(connection));
                answer.put("faults", faults(connection));
            } else {
                describe(connection, answer);
            }
        }
        byte[] json = json(answer).getBytes("UTF-8");
        System.out.write(json, 0, json.length);
        System.out.flush();
    }

    static Map<String, Object> rows(Connection connection) throws SQLException {
        Map<String, Object> rows = new LinkedHashMap<>();
        try (Statement statement = connection.createStatement()) {
            rows.put("statement", texts(statement.executeQuery(ALL)));
        }
        try (PreparedStatement statement = connection.prepareStatement(ALL)) {
            for (int i = 1; i <= EXECUTIONS; i++) {
                rows.put("prepared, execution " + i, texts(statement.executeQuery()));
            }
        }
        connection.setAutoCommit(false);
        try (Statement statement = connection.createStatement()) {
            statement.setFetchSize(37);
            rows.put("a few at a time", texts(statement.executeQuery(ALL)));
        }
        try (PreparedStatement statement = connection.prepareStatement(ALL + " LIMIT ?")) {
            statement.setFetchSize(37);
            for (int i = 1; i <= EXECUTIONS; i++) {
                statement.setInt(1, 1_000_000);
                rows.put("prepared, a few at a time, execution " + i, texts(statement.executeQuery()));
            }
        }
        connection.commit();
        connection.setAutoCommit(true);
        return rows;
    }

    interface Bind {
        void to(PreparedStatement statement) throws SQLException;
    }

    static Map<String, Object> found(Connection connection) throws SQLException {
        Map<String, Object> found = new LinkedHashMap<>();
        found.put("int", ids(connection, "number = ?", s -> s.setInt(1, 7)));
        found.put("text", ids(connection, "\"Full Name\" = ?", s -> s.setString(1, NAME)));
        found.put("float", ids(connection, "ratio < ?", s -> s.setDouble(1, 0.5)));
        found.put("date", ids(connection, "day = ?", s -> s.setObject(1, LocalDate.of(2024, 2, 29))));
        OffsetDateTime june = OffsetDateTime.of(2024, 6, 1, 2, 0, 0, 0, ZoneOffset.ofHours(2));
        found.put("moment", ids(connection, "instant >= ?", s -> s.setObject(1, june)));
        found.put("bool", ids(connection, "ok = ?", s -> s.setBoolean(1, true)));
        found.put("null", ids(connection, "region = ?", s -> s.setNull(1, Types.VARCHAR)));
        return found;
    }

    /** What every execution finds. */
    static List<Object> ids(Connection connection, String condition, Bind bind) throws SQLException {
        String sql = "SELECT id FROM kinds WHERE " + condition + " ORDER BY id";
        List<Object> first = null;
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            for (int i = 1; i <= EXECUTIONS; i++) {
                bind.to(statement);
                List<Object> ids = new ArrayList<>();
                try (ResultSet result = statement.executeQuery()) {
                    while (result.next()) {
                        ids.add(result.getLong(1));
                    }
                }
                if (first != null && !first.equals(ids)) {
                    throw new IllegalStateException("execution " + i + " of " + sql + " differs");
                }
                first = ids;
            }
        }
        return first;
    }

    static Map<String, Object> faults(Connection connection) throws SQLException {
        Map<String, String> statements = new LinkedHashMap<>();
        statements.put("syntax", "SELEC 1");
        statements.put("table", "SELECT * FROM nothing");
        statements.put("column", "SELECT nothing FROM kinds");
        statements.put("division", "SELECT 1 / (id - id) FROM kinds");
        statements.put("cast", "SELECT CAST(\"Full Name\" AS BIGINT) FROM kinds");
        statements.put("write", "DELETE FROM kinds");
        Map<String, Object> told = new LinkedHashMap<>();
        for (Map.Entry<String, String> fault : statements.entrySet()) {
            try (Statement statement = connection.createStatement()) {
                statement.execute(fault.getValue());
                told.put(fault.getKey(), Arrays.asList(null, ""));
            } catch (SQLException error) {
                told.put(fault.getKey(), Arrays.asList(error.getSQLState(), error.getMessage()));
            }
        }
        return told;
    }

    static void describe(Connection connection, Map<String, Object> answer) throws SQLException {
        DatabaseMetaData data = connection.getMetaData();
        answer.put("catalogs", columns(data.getCatalogs(), "TABLE_CAT"));
        answer.put("schemas", columns(data.getSchemas(), "TABLE_SCHEM"));
        answer.put("tables", columns(data.getTables(null, "public", "%", new String[] {"TABLE"}),
            "TABLE_SCHEM", "TABLE_NAME", "TABLE_TYPE"));
        answer.put("everything in public", columns(data.getTables(null, "public", null, null), "TABLE_NAME"));
        answer.put("columns", columns(data.getColumns(null, "public", "kinds", "%"),
            "COLUMN_NAME", "TYPE_NAME", "ORDINAL_POSITION"));
        answer.put("of customers", columns(data.getColumns(null, null, "customers", null), "COLUMN_NAME"));
        answer.put("of nothing", columns(data.getColumns(null, "public", "nothing", "%"), "COLUMN_NAME"));
        answer.put("keys", columns(data.getPrimaryKeys(null, "public", "kinds"), "COLUMN_NAME"));
        answer.put("foreign keys", columns(data.getImportedKeys(null, "public", "kinds"), "FK_NAME"));
        answer.put("indexes", columns(data.getIndexInfo(null, "public", "kinds", false, true), "INDEX_NAME"));
        answer.put("types", columns(data.getTypeInfo(), "TYPE_NAME"));
        answer.put("table types", columns(data.getTableTypes(), "TABLE_TYPE"));
        try (PreparedStatement statement = connection.prepareStatement(ALL)) {
            ResultSetMetaData columns = statement.getMetaData();
            List<Object> described = new ArrayList<>();
            for (int i = 1; i <= columns.getColumnCount(); i++) {
                described.add(Arrays.asList(columns.getColumnLabel(i), columns.getColumnTypeName(i),
                    columns.isAutoIncrement(i)));
            }
            answer.put("result", described);
        }
    }

    /** Columns of a result, as text. */
    static List<Object> columns(ResultSet result, String... names) throws SQLException {
        List<Object> rows = new ArrayList<>();
        try (result) {
            while (result.next()) {
                List<Object> row = new ArrayList<>();
                for (String name : names) {
                    row.add(result.getString(name));
                }
                rows.add(names.length == 1 ? row.get(0) : row);
            }
        }
        return rows;
    }

    static List<Object> texts(ResultSet result) throws SQLException {
        List<Object> rows = new ArrayList<>();
        try (result) {
            ResultSetMetaData columns = result.getMetaData();
            while (result.next()) {
                List<Object> row = new ArrayList<>();
                for (int i = 1; i <= columns.getColumnCount(); i++) {
                    row.add(text(result, i, columns.getColumnTypeName(i)));
                }
                rows.add(row);
            }
        }
        return rows;
    }

    static String text(ResultSet result, int column, String type) throws SQLException {
        Object value = switch (type) {
            case "date" -> result.getObject(column, LocalDate.class);
            case "timestamp" -> result.getObject(column, LocalDateTime.class);
            case "timestamptz" -> utc(result.getObject(column, OffsetDateTime.class));
            case "numeric" -> plain(result.getBigDecimal(column));
            default -> result.getObject(column);
        };
        return value == null ? null : value.toString();
    }

    static LocalDateTime utc(OffsetDateTime moment) {
        return moment == null ? null : moment.withOffsetSameInstant(ZoneOffset.UTC).toLocalDateTime();
    }

    static String plain(BigDecimal number) {
        return number == null ? null : number.toPlainString();
    }

    static String json(Object value) {
        StringBuilder out = new StringBuilder();
        write(value, out);
        return out.toString();
    }

    static void write(Object value, StringBuilder out) {
        if (value instanceof Map<?, ?> map) {
            String before = "{";
            for (Map.Entry<?, ?> entry : map.entrySet()) {
                out.append(before);
                write(entry.getKey(), out);
                out.append(':');
                write(entry.getValue(), out);
                before = ",";
            }
            out.append(map.isEmpty() ? "{}" : "}");
        } else if (value instanceof List<?> list) {
            out.append('[');
            for (int i = 0; i < list.size(); i++) {
                out.append(i == 0 ? "" : ",");
                write(list.get(i), out);
            }
            out.append(']');
        } else if (value instanceof String text) {
            out.append('"');
            for (char c : text.toCharArray()) {
                boolean plain = c >= ' ' && c != '"' && c != '\\';
                out.append(plain ? String.valueOf(c) : String.format("\\u%04x", (int) c));
            }
            out.append('"');
        } else {
            out.append(value);
        }
    }
}
