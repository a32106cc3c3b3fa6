"""The policies that are measured, and how each tool says them.

A policy is a list of conditions joined by AND or OR. The forms for other tools are folded by
hand where that helps them: equalities on one column are one IN list or one look-up.
"""

import json
from dataclasses import dataclass
from pathlib import Path

EUROPE = ["DE", "FR", "IT", "ES", "NL", "BE", "AT", "SE", "DK", "FI"]
MODEL = "customers"
DESTINATION = "facebook_ads"
# A type that no policy governs.
UNGOVERNED = "ungoverned"

# As the cases files of policy packs name types.
SCHEMA = {
    "id": "integer",
    "first_name": "string",
    "last_name": "string",
    "email": "string",
    "phone": "string",
    "country": "string",
    "city": "string",
    "street": "string",
    "postcode": "string",
    "consent": "boolean",
    "score": "integer",
    "balance": "number",
    "signup_date": "date",
    "last_seen": "timestamp",
    "notes": "string",
}

# The parts of a city's name, as in customers/mod.rs.
CITY_FIRST = ["", "New ", "North ", "South ", "East ", "West ", "Old ", "Upper ", "Lower ", "Port "]
CITY_MIDDLE = """Spring River Oak Clear Green Fair Stone Mill Bridge Lake Ash Brook Cedar Deer Eagle
    Fox Glen Harbor Iron Jasper King Lime Maple Nor Orchard Pine Queen Rose Salt Thorn Union Vale
    Water Yarrow Zion Birch Copper Dover Elm Falcon""".split()
CITY_LAST = """field ton ville burg ford wood view side dale port bury ham mouth stead worth wick
    land haven brook hill ridge gate crest cliff moor""".split()


def city(n):
    return CITY_FIRST[n // 1000 % 10] + CITY_MIDDLE[n % 40] + CITY_LAST[n // 40 % 25]


@dataclass(frozen=True)
class Condition:
    column: str
    operator: str
    value: object = None

    def tree(self):
        tree = {
            "type": "condition",
            "condition_type": "property",
            "column": self.column,
            "operator": self.operator,
        }
        if self.value is not None:
            tree["value"] = self.value
        return tree

    def holds(self, record):
        actual, value = record[self.column], self.value
        if actual is None:
            return False
        match self.operator:
            case "not_in":
                return actual not in value
            case "is_true":
                return actual is True
            case "between":
                return value[0] <= actual <= value[1]
            case "ends_with":
                return actual.endswith(value)
            case "greater_than_or_equal":
                return actual >= value
            case "equals":
                return actual == value
        raise ValueError(self.operator)


@dataclass(frozen=True)
class Policy:
    name: str
    junction: str
    conditions: tuple

    @property
    def columns(self):
        return list(dict.fromkeys(condition.column for condition in self.conditions))

    def tree(self):
        if len(self.conditions) == 1:
            return self.conditions[0].tree()
        return {"type": self.junction, "children": [c.tree() for c in self.conditions]}

    def holds(self, record):
        every = all if self.junction == "and" else any
        return every(condition.holds(record) for condition in self.conditions)

    def folded(self):
        """The conditions, with the equalities on one column made one `in`."""
        equal, others = {}, []
        for condition in self.conditions:
            if condition.operator == "equals" and self.junction == "or":
                equal.setdefault(condition.column, []).append(condition.value)
            else:
                others.append(condition)
        return others + [Condition(column, "in", values) for column, values in equal.items()]

    def sql(self, column=lambda name: name, true="{}", date="'{}'"):
        """The predicate; `column` is how a field is read, `true` how it is asked for truth and
        `date` how a date is written."""

        def literal(value):
            return f"'{value}'" if isinstance(value, str) else str(value)

        def listed(values):
            return ", ".join(literal(value) for value in values)

        def one(condition):
            name, value = column(condition.column), condition.value
            match condition.operator:
                case "not_in":
                    return f"{name} NOT IN ({listed(value)})"
                case "in":
                    return f"{name} IN ({listed(value)})"
                case "is_true":
                    return true.format(name)
                case "between":
                    return f"({name} BETWEEN {value[0]} AND {value[1]})"
                case "ends_with":
                    return f"{name} LIKE '%{value}'"
                case "greater_than_or_equal":
                    return f"{name} >= {date.format(value)}"
            raise ValueError(condition.operator)

        return f" {self.junction.upper()} ".join(one(condition) for condition in self.folded())

    def jq(self):
        def one(condition):
            path, value = f".{condition.column}", condition.value
            match condition.operator:
                case "not_in":
                    names = json.dumps(dict.fromkeys(value, 1))
                    return f"({path} != null and ({names}[{path}] | not))"
                case "in":
                    names = json.dumps({str(v): 1 for v in value})
                    text = path if isinstance(value[0], str) else f"({path} | tostring)"
                    return f"{names}[{text}]"
                case "is_true":
                    return f"{path} == true"
                case "between":
                    return f"({path} >= {value[0]} and {path} <= {value[1]})"
                case "ends_with":
                    return f"({path} | endswith({json.dumps(value)}))"
                case "greater_than_or_equal":
                    return f"{path} >= {json.dumps(value)}"
            raise ValueError(condition.operator)

        return f"select({f' {self.junction} '.join(map(one, self.folded()))})"

    def grep(self):
        """A shell command. It knows the fields' order and takes the text for the value."""

        def one(condition):
            name, value = condition.column, condition.value
            match condition.operator:
                case "is_true":
                    return f'"{name}":true,'
                case "in" if isinstance(value[0], str):
                    return f'"{name}":"({"|".join(value)})"'
                case "in":
                    return f'"{name}":({"|".join(map(str, value))}),'
                case "between" if name == "balance":
                    whole = "|".join(ranges(value[0], value[1] - 1))
                    return rf'"{name}":(({whole})\.[0-9]{{2}}|{value[1]}\.00),'
                case "between":
                    return f'"{name}":({"|".join(ranges(*value))}),'
                case "ends_with":
                    return f'"{name}":"[^"]*{value.replace(".", chr(92) + ".")}"'
                case "greater_than_or_equal":
                    # A year's first day.
                    years = "|".join(ranges(int(value[:4]), 2099))
                    return f'"{name}":"({years})-'
            raise ValueError(condition.operator)

        if self.junction == "or":
            alternatives = [one(condition) for condition in self.folded()]
            return f"grep -E '{'|'.join(alternatives)}'"
        commands, wanted = [], []
        for condition in self.conditions:
            if condition.operator == "not_in":
                names = "|".join(condition.value)
                commands.append(
                    f"""grep -v -E '"{condition.column}":("({names})"|null)'"""
                )
            else:
                wanted.append(condition)
        if wanted:
            wanted.sort(key=lambda condition: list(SCHEMA).index(condition.column))
            pattern = ".*".join(one(condition) for condition in wanted)
            flag = "-F" if all(c.operator == "is_true" for c in wanted) else "-E"
            # The rarer first.
            commands.insert(0, f"grep {flag} '{pattern}'")
        return " | ".join(commands)


def ranges(low, high):
    """Regular expressions for the whole numbers from low to high."""
    out = []
    while low <= high:
        # As many free digits at the end as fit.
        free = 0
        while low % 10 ** (free + 1) == 0 and low + 10 ** (free + 1) - 1 <= high and low > 0:
            free += 1
        # Then as many steps of the digit before them.
        step = 10**free
        digit = low // step % 10
        steps = min(9 - digit, (high - low + 1) // step - 1)
        head = str(low // step)[:-1]
        last = str(digit) if steps == 0 else f"[{digit}-{digit + steps}]"
        out.append(head + last + "[0-9]" * free)
        low += step * (steps + 1)
    return out


def disjunction(count):
    """40 % of the balances, in however many ranges, and rare values of three other columns: about
    as many records pass whatever the count."""
    pieces = -(-count // 4)
    conditions = []
    for i in range(count):
        k = i // 4
        low = k * 10_000 // pieces
        conditions.append(
            [
                Condition("balance", "between", [low, low + 4_000 // pieces]),
                Condition("city", "equals", city(k * 37)),
                Condition("postcode", "equals", f"{k * 397:05}"),
                Condition("id", "equals", k * 7_919 + 1),
            ][i % 4]
        )
    return Policy(f"or_{count}", "or", tuple(conditions))


ABROAD = Condition("country", "not_in", EUROPE)
POLICIES = {
    policy.name: policy
    for policy in [
        Policy("not_in", "and", (ABROAD,)),
        Policy("and_consent", "and", (ABROAD, Condition("consent", "is_true"))),
        Policy(
            "range_suffix_date",
            "and",
            (
                Condition("score", "between", [200, 799]),
                Condition("email", "ends_with", ".com"),
                Condition("signup_date", "greater_than_or_equal", "2022-01-01"),
            ),
        ),
        *map(disjunction, [1, 4, 100, 1_000]),
    ]
}


def write_pack(policy, folder):
    """Writes the policy as a pack with its cases. JSON is YAML."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    record = {
        "id": 1,
        "email": "ada@example.com",
        "country": "CA",
        "city": "Oakton",
        "postcode": "00001",
        "consent": True,
        "score": 500,
        "balance": 4_000,
        "signup_date": "2023-01-01",
    }
    pack = {
        "version": 1,
        "policies": [
            {
                "name": policy.name,
                "model": MODEL,
                "destination_type": DESTINATION,
                "filter_tree": policy.tree(),
            }
        ],
    }
    cases = {
        "version": 1,
        "now": "2026-01-01T00:00:00Z",
        "model": MODEL,
        "schema": SCHEMA,
        "cases": [
            {
                "name": "one",
                "destination_type": DESTINATION,
                "record": record,
                "expect": "passes" if policy.holds(record) else "withheld",
            }
        ],
    }
    (folder / f"{policy.name}.yaml").write_text(json.dumps(pack, indent=1))
    (folder / f"{policy.name}.cases.yaml").write_text(json.dumps(cases, indent=1))
