//! Compiling: requirements and a schema to a guard, or every error at once.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, Schema, SchemaRef};
use chrono::{DateTime, Utc};
use datafusion::physical_expr::PhysicalExpr;
use serde_json::Value;
use uuid::Uuid;

use super::content::Content;
use super::expression::{Judge, express};
use super::leaf::{Pattern, fold};
use super::literal::{self, Direction};
use super::ordinal::{Intervals, domain};
use super::plan::{Column, Joint, Plan, Values, join};
use crate::policy::filter_tree::{Condition, Operator, TimeSpan, Unresolved, resolve};
use crate::policy::{Fault, FilterTree, PolicyKind, Requirement, Revision};

/// A policy that cannot be compiled against a schema: one of its faults.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("policy \"{policy}\": {fault}")]
pub struct PolicyFault {
    /// The policy; `None` for a draft.
    pub policy_id: Option<Uuid>,
    /// Its name.
    pub policy: String,
    /// What is wrong with it and where in its filter tree.
    pub fault: Fault,
}

/// Policies compiled against a schema: the one thing that lets records pass.
#[derive(Clone, Debug)]
pub struct Guard {
    pub(super) revision: Revision,
    pub(super) now: DateTime<Utc>,
    pub(super) schema: SchemaRef,
    /// The top-level columns that are read, and their indices in the schema.
    pub(super) columns: Vec<String>,
    pub(super) inputs: Vec<usize>,
    /// All rules joined by AND.
    pub(super) judge: Judge,
    pub(super) rules: Vec<Rule>,
    pub(super) content: Option<Arc<Content>>,
}

/// One requirement, compiled on its own: who withheld a row.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) policy_id: Option<Uuid>,
    pub(super) kind: PolicyKind,
    pub(super) name: String,
    pub(super) judge: Judge,
    pub(super) filter_tree: FilterTree,
}

impl Guard {
    /// Compiles requirements, joined by AND, against the schema of a model.
    ///
    /// `now` is what relative conditions count from. Errors: every condition whose column is
    /// missing or ambiguous, whose operator does not work on the column's type, or whose value
    /// does not fit that type.
    pub fn compile(
        schema: &SchemaRef,
        requirements: &[Requirement],
        now: DateTime<Utc>,
        revision: Revision,
    ) -> Result<Guard, Vec<PolicyFault>> {
        let mut plans = Vec::with_capacity(requirements.len());
        let mut refused = Vec::new();
        for requirement in requirements {
            let mut compiler = Compiler {
                schema,
                now,
                faults: Vec::new(),
            };
            let plan = compiler.tree(&requirement.filter_tree, false, "$");
            refused.extend(compiler.faults.into_iter().map(|fault| PolicyFault {
                policy_id: requirement.policy_id,
                policy: requirement.name.clone(),
                fault,
            }));
            plans.extend(plan);
        }
        if !refused.is_empty() {
            return Err(refused);
        }
        let roots: BTreeSet<usize> = requirements
            .iter()
            .flat_map(|requirement| requirement.filter_tree.columns())
            .filter_map(|column| resolve(schema, column).ok())
            .map(|path| path.root)
            .collect();
        let inputs: Vec<usize> = roots.into_iter().collect();
        let columns = inputs
            .iter()
            .map(|root| schema.field(*root).name().clone())
            .collect();
        let failed = |name: &str, error| {
            let message = format!("cannot be compiled: {error}");
            PolicyFault {
                policy_id: None,
                policy: name.into(),
                fault: Fault::new("$", message),
            }
        };
        let mut rules = Vec::with_capacity(requirements.len());
        for (requirement, plan) in requirements.iter().zip(&plans) {
            let judge = express(plan, schema, &inputs)
                .map_err(|error| vec![failed(&requirement.name, error)])?;
            rules.push(Rule {
                policy_id: requirement.policy_id,
                kind: requirement.kind,
                name: requirement.name.clone(),
                judge,
                filter_tree: requirement.filter_tree.clone(),
            });
        }
        let judge = express(&join(Joint::And, plans), schema, &inputs)
            .map_err(|error| vec![failed("all policies together", error)])?;
        Ok(Guard {
            revision,
            now,
            schema: Arc::clone(schema),
            columns,
            inputs,
            judge,
            rules,
            content: None,
        })
    }

    /// The guard with content policies besides.
    pub fn with_content(self, content: Option<Arc<Content>>) -> Guard {
        Guard { content, ..self }
    }

    /// Whether content policies look for something in the records.
    pub fn detects(&self) -> bool {
        self.content.is_some()
    }

    /// The top-level columns that content policies look at, among those of the schema. A batch may
    /// lack them: what does not leave need not be looked at.
    pub fn content_columns(&self) -> Vec<String> {
        let content = self.content.as_deref();
        content.map_or_else(Vec::new, |content| content.columns(&self.schema))
    }

    /// The top-level columns that the policies read.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Whether no row can pass, whatever is in it.
    pub fn withholds_all(&self) -> bool {
        matches!(self.judge, Judge::Always(false))
    }

    /// Whether nothing is required of a row, and nothing looked for in it.
    pub fn requires_nothing(&self) -> bool {
        self.rules.is_empty() && self.content.is_none()
    }

    /// Whether no policy filters rows. Content policies, which are the same for everybody, do not
    /// count.
    pub fn filters_nothing(&self) -> bool {
        self.rules.is_empty()
    }

    /// The schema of those columns alone: all that a batch needs in order to be judged.
    pub fn read_schema(&self) -> SchemaRef {
        let fields = self
            .inputs
            .iter()
            .filter_map(|i| self.schema.fields().get(*i));
        Arc::new(Schema::new(fields.cloned().collect::<Vec<_>>()))
    }

    /// The revision of the policies.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The predicate over the model's schema that all policies make together, in which NULL
    /// withholds; `None` where every record passes.
    ///
    /// Its columns are those of [`Guard::columns`], by position in that list.
    pub fn predicate(&self) -> Option<Arc<dyn PhysicalExpr>> {
        match &self.judge {
            Judge::Always(true) => None,
            Judge::Always(false) => Some(datafusion::physical_expr::expressions::lit(false)),
            Judge::Where(predicate) => Some(Arc::clone(predicate)),
        }
    }
}

/// Compiles one filter tree alone, for an explanation of its parts.
pub(super) fn compile_part(
    tree: &FilterTree,
    negated: bool,
    schema: &Schema,
    inputs: &[usize],
    now: DateTime<Utc>,
) -> Option<Judge> {
    let mut compiler = Compiler {
        schema,
        now,
        faults: Vec::new(),
    };
    let plan = compiler.tree(tree, negated, "$")?;
    express(&plan, schema, inputs).ok()
}

struct Compiler<'a> {
    schema: &'a Schema,
    now: DateTime<Utc>,
    faults: Vec<Fault>,
}

impl Compiler<'_> {
    /// Where the tree is TRUE, or with `negated` where it is FALSE; `None` if it has faults.
    fn tree(&mut self, tree: &FilterTree, negated: bool, path: &str) -> Option<Plan> {
        match tree {
            FilterTree::And(children) => self.group(Joint::And, children, negated, path),
            FilterTree::Or(children) => self.group(Joint::Or, children, negated, path),
            FilterTree::Not(child) => self.tree(child, !negated, &format!("{path}.children[0]")),
            FilterTree::Condition(condition) => {
                match self.condition(condition, negated) {
                    Ok(plan) => Some(plan),
                    Err(faults) => {
                        self.faults.extend(faults.into_iter().map(|fault| {
                            Fault::new(format!("{path}{}", fault.path), fault.message)
                        }));
                        None
                    }
                }
            }
        }
    }

    fn group(
        &mut self,
        joint: Joint,
        children: &[FilterTree],
        negated: bool,
        path: &str,
    ) -> Option<Plan> {
        let plans: Vec<_> = children
            .iter()
            .enumerate()
            .map(|(i, child)| self.tree(child, negated, &format!("{path}.children[{i}]")))
            .collect();
        let plans: Option<Vec<_>> = plans.into_iter().collect();
        Some(join(joint.flipped(negated), plans?))
    }

    fn condition(&self, condition: &Condition, negated: bool) -> Result<Plan, Vec<Fault>> {
        let found = resolve(self.schema, &condition.column).map_err(|unresolved| {
            vec![Fault::new(
                ".column",
                self.unresolved(&condition.column, unresolved),
            )]
        })?;
        // A dictionary is judged by its values.
        let data_type = match &found.data_type {
            DataType::Dictionary(_, values) => values.as_ref().clone(),
            other => other.clone(),
        };
        let values = values(condition, &data_type, negated, self.now).map_err(|mut faults| {
            for fault in faults
                .iter_mut()
                .filter(|fault| fault.path.starts_with(".value"))
            {
                fault.message = format!("column \"{}\": {}", condition.column, fault.message);
            }
            faults
        })?;
        let column = Column {
            root: found.root,
            children: found.children,
            data_type: found.data_type,
        };
        // A group folds constants, and so does a group of one.
        Ok(join(Joint::And, vec![Plan::Values(column, values)]))
    }

    fn unresolved(&self, column: &str, unresolved: Unresolved) -> String {
        match unresolved {
            Unresolved::Ambiguous => format!("several columns are named \"{column}\""),
            Unresolved::Missing => {
                let mut names: Vec<_> = self
                    .schema
                    .fields()
                    .iter()
                    .map(|field| field.name().as_str())
                    .collect();
                let more = names.len().saturating_sub(20);
                names.truncate(20);
                let more = if more > 0 {
                    format!(" and {more} more")
                } else {
                    String::new()
                };
                format!(
                    "no column \"{column}\"; the model has {}{more}",
                    names.join(", ")
                )
            }
        }
    }
}

fn fault(path: impl Into<String>, message: impl Into<String>) -> Vec<Fault> {
    vec![Fault::new(path, message)]
}

/// The values of a column type for which a condition (or with `negated` its opposite) is TRUE.
fn values(
    condition: &Condition,
    data_type: &DataType,
    negated: bool,
    now: DateTime<Utc>,
) -> Result<Values, Vec<Fault>> {
    use Operator::*;
    let operator = condition.operator;
    let zone = condition.timezone.unwrap_or(chrono_tz::UTC);
    let wrong_type = |works_on: &str| {
        fault(
            ".operator",
            format!(
                "{} works on {works_on}; column \"{}\" is of type {data_type}",
                operator.name(),
                condition.column
            ),
        )
    };
    let text = is_text(data_type);
    let boolean = data_type == &DataType::Boolean;
    let ordered = domain(data_type);
    match operator {
        IsNull => Ok(presence(data_type, !negated)),
        IsNotNull => Ok(presence(data_type, negated)),
        IsEmpty | IsNotEmpty => {
            let empty = (operator == IsEmpty) != negated;
            match data_type {
                _ if text => Ok(Values::Texts {
                    nulls: empty,
                    fold: false,
                    complement: !empty,
                    set: BTreeSet::from([String::new()]),
                }),
                DataType::Null => Ok(Values::Presence {
                    nulls: empty,
                    values: !empty,
                }),
                _ if element_type(data_type).is_some() => Ok(Values::EmptyList { negated: !empty }),
                _ => Err(wrong_type("text and lists")),
            }
        }
        IsTrue | IsFalse => match ordered {
            Some(domain) if boolean => {
                let point = i8::from((operator == IsTrue) != negated);
                Ok(ordinals(Intervals::points([point.into()]), false, domain))
            }
            _ => Err(wrong_type("booleans")),
        },
        Equals | NotEquals | In | NotIn => {
            let several = matches!(operator, In | NotIn);
            if several && boolean {
                return Err(wrong_type("text, numbers, dates and times"));
            }
            let negated = matches!(operator, NotEquals | NotIn) != negated;
            scalars(condition, data_type, negated).ok_or_else(|| match several {
                true => wrong_type("text, numbers, dates and times"),
                false => wrong_type("text, numbers, booleans, dates and times"),
            })?
        }
        GreaterThan | GreaterThanOrEqual | LessThan | LessThanOrEqual => {
            let domain = ordered
                .filter(|_| !boolean)
                .ok_or_else(|| wrong_type("numbers, dates and times"))?;
            let value = condition.value.as_ref().unwrap_or(&Value::Null);
            let bound = literal::ordinal(value, data_type, zone)
                .map_err(|message| fault(".value", message))?;
            let one = arrow::datatypes::i256::ONE;
            let set = match operator {
                GreaterThan => Intervals::range(bound.wrapping_add(one), domain.1),
                GreaterThanOrEqual => Intervals::range(bound, domain.1),
                LessThan => Intervals::range(domain.0, bound.wrapping_sub(one)),
                _ => Intervals::range(domain.0, bound),
            };
            Ok(ordinals(set, negated, domain))
        }
        Between | NotBetween => {
            let domain = ordered
                .filter(|_| !boolean)
                .ok_or_else(|| wrong_type("numbers, dates and times"))?;
            let ends = listed(condition)
                .iter()
                .enumerate()
                .map(|(i, value)| {
                    literal::ordinal(value, data_type, zone)
                        .map_err(|message| Fault::new(format!(".value[{i}]"), message))
                })
                .collect::<Vec<_>>();
            match all_or_faults(ends)?.as_slice() {
                [low, high] if low <= high => {
                    let negated = (operator == NotBetween) != negated;
                    Ok(ordinals(Intervals::range(*low, *high), negated, domain))
                }
                _ => Err(fault(".value", "low is above high")),
            }
        }
        Contains | NotContains | StartsWith | NotStartsWith | EndsWith | NotEndsWith | Matches => {
            if !text {
                return Err(wrong_type("text"));
            }
            let value = condition
                .value
                .as_ref()
                .and_then(Value::as_str)
                .unwrap_or_default();
            let folds = !condition.case_sensitive && operator != Matches;
            let value = if folds { fold(value) } else { value.to_owned() };
            let pattern = match operator {
                Contains | NotContains => Pattern::Contains(value),
                StartsWith | NotStartsWith => Pattern::StartsWith(value),
                EndsWith | NotEndsWith => Pattern::EndsWith(value),
                _ => Pattern::Matches(value, condition.case_sensitive),
            };
            let negated = matches!(operator, NotContains | NotStartsWith | NotEndsWith) != negated;
            Ok(Values::Patterns {
                fold: folds,
                negated,
                patterns: BTreeSet::from([pattern]),
            })
        }
        WithinLast | NotWithinLast | WithinNext => {
            let is_date = matches!(
                data_type,
                DataType::Date32 | DataType::Date64 | DataType::Timestamp(_, _)
            );
            let domain = ordered
                .filter(|_| is_date)
                .ok_or_else(|| wrong_type("dates and timestamps"))?;
            let span = TimeSpan::parse(condition.value.as_ref().unwrap_or(&Value::Null))
                .map_err(|wrong| fault(format!(".value{}", wrong.path), wrong.message))?;
            let direction = match operator {
                WithinNext => Direction::Future,
                _ => Direction::Past,
            };
            let (low, high) = literal::window(span, direction, data_type, zone, now)
                .map_err(|message| fault(".value", message))?;
            let negated = (operator == NotWithinLast) != negated;
            let set = Intervals::range(low.max(domain.0), high.min(domain.1));
            Ok(ordinals(set, negated, domain))
        }
        ListContainsAny | ListContainsAll => {
            let element = element_type(data_type).ok_or_else(|| wrong_type("lists"))?;
            let element = match element {
                DataType::Dictionary(_, values) => values.as_ref(),
                other => other,
            };
            let single = |value: &Value| Condition {
                operator: In,
                value: Some(Value::Array(vec![value.clone()])),
                ..condition.clone()
            };
            let unfit = || {
                fault(
                    ".operator",
                    format!(
                        "{} works on lists of text, numbers, booleans, dates and times; column \"{}\" is of type {data_type}",
                        operator.name(),
                        condition.column
                    ),
                )
            };
            let each = match operator {
                ListContainsAny => vec![scalars(condition, element, false).ok_or_else(unfit)??],
                _ => {
                    let each = listed(condition).iter().enumerate().map(|(i, value)| {
                        let one = scalars(&single(value), element, false).ok_or_else(unfit)?;
                        one.map_err(|faults| {
                            let at =
                                |fault: Fault| Fault::new(format!(".value[{i}]"), fault.message);
                            faults.into_iter().map(at).collect::<Vec<_>>()
                        })
                    });
                    all_or_all_faults(each)?
                }
            };
            Ok(Values::Lists { negated, each })
        }
    }
}

/// IS NULL or IS NOT NULL for a type, in the form that merges with its other conditions.
fn presence(data_type: &DataType, is_null: bool) -> Values {
    match domain(data_type) {
        Some(domain) => Values::Ordinals {
            nulls: is_null,
            nans: !is_null,
            set: match is_null {
                true => Intervals::empty(),
                false => Intervals::range(domain.0, domain.1),
            },
            domain,
        },
        None if is_text(data_type) => Values::Texts {
            nulls: is_null,
            fold: false,
            complement: !is_null,
            set: BTreeSet::new(),
        },
        None => Values::Presence {
            nulls: is_null,
            values: !is_null,
        },
    }
}

/// The set, or with `negated` every other value but NULL and NaN.
fn ordinals(
    set: Intervals,
    negated: bool,
    domain: (super::ordinal::Ordinal, super::ordinal::Ordinal),
) -> Values {
    let set = if negated { set.complement(domain) } else { set };
    Values::Ordinals {
        nulls: false,
        nans: false,
        set,
        domain,
    }
}

/// The values that a condition lists; `None` if no scalar can be of the type.
fn scalars(
    condition: &Condition,
    data_type: &DataType,
    negated: bool,
) -> Option<Result<Values, Vec<Fault>>> {
    let several = matches!(condition.value, Some(Value::Array(_)));
    let at = |i: usize| {
        if several {
            format!(".value[{i}]")
        } else {
            ".value".to_owned()
        }
    };
    let values = listed(condition);
    if is_text(data_type) {
        let texts = values
            .iter()
            .enumerate()
            .map(|(i, value)| match value.as_str() {
                Some(text) if condition.case_sensitive => Ok(text.to_owned()),
                Some(text) => Ok(fold(text)),
                None => Err(Fault::new(
                    at(i),
                    format!("expected a string for a column of type {data_type}"),
                )),
            });
        return Some(
            all_or_faults(texts).map(|texts: Vec<String>| Values::Texts {
                nulls: false,
                fold: !condition.case_sensitive,
                complement: negated,
                set: texts.into_iter().collect(),
            }),
        );
    }
    let domain = domain(data_type)?;
    let zone = condition.timezone.unwrap_or(chrono_tz::UTC);
    let points = values.iter().enumerate().map(|(i, value)| {
        literal::ordinal(value, data_type, zone).map_err(|message| Fault::new(at(i), message))
    });
    Some(
        all_or_faults(points)
            .map(|points: Vec<_>| ordinals(Intervals::points(points), negated, domain)),
    )
}

/// A condition's value as a list: an array's elements, or the one scalar.
fn listed(condition: &Condition) -> &[Value] {
    match &condition.value {
        Some(Value::Array(values)) => values,
        Some(value) => std::slice::from_ref(value),
        None => &[],
    }
}

fn all_or_faults<T>(
    results: impl IntoIterator<Item = Result<T, Fault>>,
) -> Result<Vec<T>, Vec<Fault>> {
    all_or_all_faults(
        results
            .into_iter()
            .map(|result| result.map_err(|fault| vec![fault])),
    )
}

fn all_or_all_faults<T>(
    results: impl IntoIterator<Item = Result<T, Vec<Fault>>>,
) -> Result<Vec<T>, Vec<Fault>> {
    let (mut values, mut faults) = (Vec::new(), Vec::new());
    for result in results {
        match result {
            Ok(value) => values.push(value),
            Err(more) => faults.extend(more),
        }
    }
    if faults.is_empty() {
        Ok(values)
    } else {
        Err(faults)
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
    )
}

/// The type of a list's elements.
pub(super) fn element_type(data_type: &DataType) -> Option<&DataType> {
    match data_type {
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
            Some(field.data_type())
        }
        _ => None,
    }
}
