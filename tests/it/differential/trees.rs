//! Random documents of filter trees.

use arrow::datatypes::DataType;
use proptest::prelude::*;
use serde_json::{Value, json};
use syncguard::policy::filter_tree::Operator;

use super::world::Columns;

/// Numbers that a tree is made of, which shrink well.
#[derive(Clone, Debug)]
enum Sketch {
    Group(u8, Vec<Sketch>),
    Not(Box<Sketch>),
    Condition(Picks),
    /// Conditions on one column.
    Cluster(u8, u8, Vec<Picks>),
}

#[derive(Clone, Debug)]
struct Picks {
    column: u8,
    operator: u8,
    literals: Vec<u8>,
    fold: bool,
    zone: Option<u8>,
    /// Whether the operator and the literals are drawn without regard to the column.
    wild: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct TreeSketch {
    root: Sketch,
    /// The columns that most conditions of the tree are on.
    palette: Vec<u8>,
    wild: bool,
}

fn picks() -> impl Strategy<Value = Picks> {
    (
        any::<u8>(),
        any::<u8>(),
        prop::collection::vec(any::<u8>(), 1..6),
        prop::bool::weighted(0.25),
        prop::option::weighted(0.25, any::<u8>()),
        prop::bool::weighted(0.15),
    )
        .prop_map(|(column, operator, literals, fold, zone, wild)| Picks {
            column,
            operator,
            literals,
            fold,
            zone,
            wild,
        })
}

pub(crate) fn trees() -> impl Strategy<Value = TreeSketch> {
    let leaf = prop_oneof![
        3 => picks().prop_map(Sketch::Condition),
        2 => (any::<u8>(), any::<u8>(), prop::collection::vec(picks(), 2..10))
            .prop_map(|(group, column, picks)| Sketch::Cluster(group, column, picks)),
    ];
    let root = leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            4 => (any::<u8>(), prop::collection::vec(inner.clone(), 1..5))
                .prop_map(|(group, children)| Sketch::Group(group, children)),
            1 => inner.prop_map(|child| Sketch::Not(Box::new(child))),
        ]
    });
    (
        root,
        prop::collection::vec(any::<u8>(), 1..5),
        prop::bool::weighted(0.15),
    )
        .prop_map(|(root, palette, wild)| TreeSketch {
            root,
            palette,
            wild,
        })
}

impl TreeSketch {
    /// The document that the sketch stands for.
    pub(crate) fn document(&self, columns: &Columns) -> Value {
        self.node(&self.root, columns)
    }

    fn node(&self, sketch: &Sketch, columns: &Columns) -> Value {
        let group = |group: u8| if group.is_multiple_of(2) { "and" } else { "or" };
        match sketch {
            Sketch::Group(kind, children) => {
                let children: Vec<_> = children.iter().map(|c| self.node(c, columns)).collect();
                json!({"type": group(*kind), "children": children})
            }
            Sketch::Not(child) => {
                json!({"type": "not", "children": [self.node(child, columns)]})
            }
            Sketch::Condition(picks) => self.condition(picks, picks.column, columns),
            Sketch::Cluster(kind, column, all) => {
                let children: Vec<_> = all
                    .iter()
                    .map(|picks| {
                        let condition = self.condition(picks, *column, columns);
                        let negated = picks.column.is_multiple_of(8);
                        if negated {
                            json!({"type": "not", "children": [condition]})
                        } else {
                            condition
                        }
                    })
                    .collect();
                json!({"type": group(*kind), "children": children})
            }
        }
    }

    fn condition(&self, picks: &Picks, column: u8, columns: &Columns) -> Value {
        let wild = self.wild && picks.wild;
        let column = usize::from(self.palette[usize::from(column) % self.palette.len()]);
        let known = if wild {
            columns.addresses.len()
        } else {
            columns.known
        };
        let address = &columns.addresses[column % known];
        let operators = if wild {
            Operator::ALL.to_vec()
        } else {
            operators(&address.data_type)
        };
        let operator = operators[usize::from(picks.operator) % operators.len()];
        let literal = |pick: u8| -> Value {
            let pool = match (wild, pick % 3) {
                (true, 0) => &columns.misfits,
                (true, 1) => {
                    &columns.addresses[usize::from(pick) % columns.addresses.len()].literals
                }
                _ => &address.literals,
            };
            pool[usize::from(pick) % pool.len()].clone()
        };
        let mut literals = picks.literals.clone();
        let first = literals[0];
        let text = |choices: &[String]| json!(choices[usize::from(first) % choices.len()]);
        use Operator::*;
        let value = match operator {
            IsNull | IsNotNull | IsEmpty | IsNotEmpty | IsTrue | IsFalse => None,
            Contains | NotContains | StartsWith | NotStartsWith | EndsWith | NotEndsWith => {
                Some(text(&columns.parts))
            }
            Matches => Some(text(&columns.patterns)),
            WithinLast | NotWithinLast | WithinNext => {
                let counts: &[u32] = if wild {
                    &[0, 1, 4_294_967_295, 2_000_000, 200_000_000]
                } else {
                    &[0, 1, 1, 1, 2, 7, 12, 30, 1440]
                };
                let units = ["minutes", "hours", "days", "weeks", "months", "years"];
                let count = counts[usize::from(first) % counts.len()];
                let unit = units[usize::from(literals[literals.len() - 1]) % units.len()];
                Some(json!({"value": count, "unit": unit}))
            }
            Between | NotBetween => {
                literals.push(first);
                literals.truncate(2);
                if !wild {
                    let size = address.literals.len();
                    literals.sort_by_key(|pick| usize::from(*pick) % size);
                }
                Some(literals.iter().map(|pick| literal(*pick)).collect())
            }
            In | NotIn | ListContainsAny | ListContainsAll => {
                Some(literals.iter().map(|pick| literal(*pick)).collect())
            }
            _ => Some(literal(first)),
        };
        let mut condition = json!({
            "type": "condition",
            "condition_type": "property",
            "column": address.name,
            "operator": operator.name(),
        });
        if let Some(value) = value {
            condition["value"] = value;
        }
        if picks.fold {
            condition["case_sensitive"] = json!(false);
        }
        if let Some(zone) = picks.zone {
            condition["timezone"] = json!(columns.zones[usize::from(zone) % columns.zones.len()]);
        }
        condition
    }
}

/// The operators that suit a type, the ones that are merged more often.
fn operators(data_type: &DataType) -> Vec<Operator> {
    use Operator::*;
    let ordered = [
        Equals,
        NotEquals,
        In,
        NotIn,
        GreaterThan,
        GreaterThanOrEqual,
        LessThan,
        LessThanOrEqual,
        Between,
        NotBetween,
        In,
        NotIn,
        IsNull,
        IsNotNull,
    ];
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => vec![
            Equals,
            NotEquals,
            In,
            NotIn,
            In,
            NotIn,
            Contains,
            NotContains,
            StartsWith,
            NotStartsWith,
            EndsWith,
            NotEndsWith,
            Matches,
            IsNull,
            IsNotNull,
            IsEmpty,
            IsNotEmpty,
        ],
        DataType::Boolean => vec![IsTrue, IsFalse, Equals, NotEquals, IsNull, IsNotNull],
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) => [
            &ordered[..],
            &[WithinLast, NotWithinLast, WithinNext, WithinLast],
        ]
        .concat(),
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => vec![
            ListContainsAny,
            ListContainsAll,
            ListContainsAny,
            ListContainsAll,
            IsEmpty,
            IsNotEmpty,
            IsNull,
            IsNotNull,
        ],
        DataType::Null => vec![IsNull, IsNotNull, IsEmpty],
        DataType::Struct(_) | DataType::Binary => vec![IsNull, IsNotNull],
        DataType::Dictionary(_, value) => operators(value),
        _ => ordered.to_vec(),
    }
}
