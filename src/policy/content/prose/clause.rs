//! What the clauses of a sentence forbid and permit.

mod verdict;

use std::ops::Range;

use super::chain::{Chain, chain};
use super::sentence::Token;
use super::words::Kind;
use crate::policy::content::Detectors;

/// Something that is forbidden or permitted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mention {
    pub(super) detectors: Detectors,
    /// The lower, the more specific.
    pub(super) rank: u32,
    pub(super) permitted: bool,
}

/// What a sentence says.
#[derive(Default)]
pub(super) struct Said {
    pub(super) mentions: Vec<Mention>,
    /// Where the phrases stand that were not understood.
    pub(super) unknown: Vec<Range<usize>>,
    /// What holds at its end, for a list that it introduces.
    pub(super) permits: bool,
    /// Whether it has a word that permits or forbids.
    pub(super) explicit: bool,
    /// Whether it permits something, if only under a condition.
    pub(super) permitting: bool,
    /// Whether it names nothing, and forbids or limits what is before it: "never.", "if hashed".
    pub(super) restricts: bool,
    conditional: bool,
    limited: bool,
}

/// A part of a list.
#[derive(Clone, Debug, Default)]
struct Item {
    terms: Vec<(Detectors, u32)>,
    /// From its first word that says something to its last.
    at: Option<Range<usize>>,
    /// It has words of no known meaning.
    unknown: bool,
    /// It begins with a preposition, so it limits what is before it.
    limits: bool,
    /// Some word stands in it.
    begun: bool,
    /// It comes after the verb that judges the clause.
    trailing: bool,
    after_or: bool,
}

#[derive(Clone, Debug, Default)]
struct Clause {
    items: Vec<Item>,
    /// 1 permits, -1 forbids, 0: as is usual here.
    sign: i8,
    /// Negated by "not" or "no".
    negated: bool,
    /// A verb governs it from the front.
    forward: bool,
    /// What governs it is its subject ("no e-mail", "sharing e-mail"), so that a verb at the end
    /// turns all of it.
    subject: bool,
    /// The verb at its end was read.
    closed: bool,
    except: bool,
    leading: bool,
    /// Says what must be there, and not what must not.
    unclear: bool,
    only: Option<usize>,
    /// It says who may do it, so it permits that to nobody else.
    limited: bool,
}

impl Clause {
    fn has_terms(&self) -> bool {
        self.items.iter().any(|item| !item.terms.is_empty())
    }

    fn has_target(&self, passive: bool) -> bool {
        self.items
            .iter()
            .any(|item| !item.terms.is_empty() || (passive && item.unknown))
    }

    fn is_empty(&self) -> bool {
        self.sign == 0 && !self.items.iter().any(|item| item.at.is_some())
    }

    fn detectors(&self) -> Detectors {
        self.items
            .iter()
            .flat_map(|item| &item.terms)
            .fold(Detectors::NONE, |all, (detectors, _)| all.and(*detectors))
    }
}

/// "if ...", "unless ..."
struct Condition {
    at: Range<usize>,
    terms: Vec<(Detectors, u32)>,
    negated: bool,
    unless: bool,
}

/// What a sentence says, where a clause without a verb permits or forbids as is usual there.
pub(super) fn read(tokens: &[Token], usually_permits: bool) -> Said {
    let mut reading = Reading::new(tokens, usually_permits, None);
    reading.run();
    reading.finish(true)
}

struct Reading<'a> {
    tokens: &'a [Token],
    usually_permits: bool,
    /// Whether what is before permits, for what is in brackets.
    before: Option<bool>,
    clauses: Vec<Clause>,
    clause: Clause,
    item: Item,
    or: bool,
    conditional: bool,
    conditions: Vec<Condition>,
    /// What is in brackets, behind the clause of a number.
    asides: Vec<(Range<usize>, usize)>,
}

impl<'a> Reading<'a> {
    fn new(tokens: &'a [Token], usually_permits: bool, before: Option<bool>) -> Self {
        Reading {
            tokens,
            usually_permits,
            before,
            clauses: Vec::new(),
            clause: Clause::default(),
            item: Item::default(),
            or: false,
            conditional: false,
            conditions: Vec::new(),
            asides: Vec::new(),
        }
    }

    fn kind(&self, i: usize) -> Option<Kind> {
        self.tokens.get(i).map(|token| token.kind)
    }

    fn run(&mut self) {
        let mut i = 0;
        while let Some(token) = self.tokens.get(i) {
            let at = token.at.clone();
            if let Some(chain) = chain(self.tokens, i) {
                self.verb(i, &chain);
                i = chain.end;
                continue;
            }
            match token.kind {
                Kind::Term {
                    detectors,
                    rank,
                    word,
                } => {
                    if word && self.is_channel(i) {
                        self.say(at, false);
                    } else {
                        self.item.terms.push((detectors, rank));
                        self.say(at, false);
                    }
                }
                Kind::Unknown | Kind::Done(_) | Kind::Gerund(1 | -1) | Kind::Verb(1 | -1) => {
                    self.say(at, true);
                }
                Kind::Gerund(_) | Kind::Verb(_) => {
                    if self.item.at.is_some() && self.item.terms.is_empty() {
                        self.say(at, true);
                    }
                }
                Kind::Prefix => self.say(at, false),
                Kind::Noun => {
                    self.item.begun = true;
                    if let Some(own) = &mut self.item.at {
                        own.end = at.end;
                    }
                }
                Kind::Preposition | Kind::Channel => {
                    if !self.item.begun {
                        self.item.limits = true;
                        self.item.begun = true;
                    }
                }
                Kind::Inapplicable => {
                    self.end_clause();
                    let permitted = self.clauses.last().is_some_and(|last| self.permits(last));
                    self.clause.sign = if permitted { -1 } else { 1 };
                    self.clause.forward = true;
                }
                Kind::Only => {
                    if !self.clause.has_terms() && self.item.at.is_none() {
                        self.clause.only = Some(at.start);
                    } else {
                        self.say(at, true);
                    }
                }
                Kind::Comma | Kind::And | Kind::Or => self.separate(token.kind),
                Kind::Example | Kind::Colon => {
                    // What follows says what was meant.
                    if self.item.terms.is_empty() && self.item.unknown {
                        self.item = Item::default();
                    }
                    self.separate(Kind::Comma);
                }
                Kind::But => self.end_clause(),
                Kind::Except => self.except(),
                Kind::If | Kind::Unless => {
                    i = self.condition(i);
                    continue;
                }
                Kind::Open => {
                    i = self.brackets(i);
                    continue;
                }
                Kind::Close => self.separate(Kind::Comma),
                Kind::Cannot | Kind::Not | Kind::No => self.item.begun = true,
                Kind::Filler
                | Kind::NotOnly
                | Kind::Pronoun
                | Kind::Relative
                | Kind::Auxiliary
                | Kind::Modal
                | Kind::Be
                | Kind::Link => {}
            }
            i += 1;
        }
        self.end_clause();
    }

    fn is_channel(&self, i: usize) -> bool {
        let mut before = i;
        while before > 0 && i - before < 3 {
            before -= 1;
            match self.kind(before) {
                Some(Kind::Channel) => return true,
                Some(Kind::Filler) => {}
                _ => return false,
            }
        }
        false
    }

    fn say(&mut self, at: Range<usize>, unknown: bool) {
        self.item.begun = true;
        self.item.unknown |= unknown;
        self.item.trailing |= self.clause.closed;
        match &mut self.item.at {
            Some(own) => own.end = at.end,
            own => *own = Some(at),
        }
    }

    fn end_item(&mut self) {
        let item = std::mem::take(&mut self.item);
        if item.begun {
            self.clause.items.push(item);
        }
    }

    fn separate(&mut self, kind: Kind) {
        self.end_item();
        self.or = kind == Kind::Or;
        self.item.after_or = self.or;
        if self.clause.closed {
            self.end_clause();
        }
    }

    fn end_clause(&mut self) {
        self.end_item();
        let clause = std::mem::take(&mut self.clause);
        if !clause.is_empty() {
            self.clauses.push(clause);
        }
    }

    fn permits(&self, clause: &Clause) -> bool {
        match clause.sign {
            0 => self.usually_permits,
            sign => sign > 0,
        }
    }

    fn except(&mut self) {
        self.end_clause();
        let before = match self.clauses.last() {
            Some(last) if last.except => None,
            Some(last) => Some(self.permits(last)),
            None => self.before,
        };
        let sign = match (before, self.clauses.last()) {
            (Some(true), _) => -1,
            (Some(false), _) => 1,
            (None, Some(last)) => last.sign,
            (None, None) => 1,
        };
        self.clause = Clause {
            sign,
            forward: true,
            except: true,
            leading: self.clauses.is_empty() && self.before.is_none(),
            ..Clause::default()
        };
    }

    /// Reads a condition, and says where it ends.
    fn condition(&mut self, start: usize) -> usize {
        let unless = self.kind(start) == Some(Kind::Unless);
        if unless && self.is_exception(start + 1) {
            self.except();
            return start + 1;
        }
        self.end_item();
        let leading = self.clauses.is_empty() && self.clause.is_empty();
        let mut terms = Vec::new();
        let mut negated = false;
        let mut i = start + 1;
        while let Some(kind) = self.kind(i) {
            match kind {
                Kind::But => break,
                Kind::Comma if leading => break,
                Kind::Comma | Kind::And
                    if chain(self.tokens, i + 1)
                        .is_some_and(|chain| chain.verb && chain.explicit && !chain.passive) =>
                {
                    break;
                }
                Kind::Term {
                    detectors, rank, ..
                } => terms.push((detectors, rank)),
                Kind::No | Kind::Not | Kind::Cannot => negated = true,
                _ => {}
            }
            i += 1;
        }
        self.conditional = true;
        let mut end = i;
        while end > start && matches!(self.kind(end - 1), Some(Kind::Comma | Kind::And | Kind::Or))
        {
            end -= 1;
        }
        let at = self.span(start, end);
        self.conditions.push(Condition {
            at,
            terms,
            negated,
            unless,
        });
        i
    }

    /// Whether what follows "unless" says what is meant, as in "unless they are phone numbers".
    fn is_exception(&self, start: usize) -> bool {
        let mut named = false;
        let mut is = false;
        for token in self.tokens.get(start..).unwrap_or_default() {
            match token.kind {
                Kind::Be => is = true,
                Kind::Term { .. } if is => named = true,
                Kind::Filler | Kind::Pronoun | Kind::Noun => {}
                Kind::And | Kind::Or | Kind::Comma if named => {}
                _ => return false,
            }
        }
        named
    }

    /// Leaves what is in brackets for later if it has a verb of its own.
    fn brackets(&mut self, open: usize) -> usize {
        let inner = self.tokens.get(open + 1..).unwrap_or_default();
        let length = inner
            .iter()
            .position(|token| matches!(token.kind, Kind::Close | Kind::Open));
        let close = match length {
            Some(length) if self.kind(open + 1 + length) == Some(Kind::Close) => open + 1 + length,
            _ => {
                self.separate(Kind::Comma);
                return open + 1;
            }
        };
        let says = (open + 1..close).any(|i| {
            matches!(self.kind(i), Some(Kind::Except | Kind::If | Kind::Unless))
                || chain(self.tokens, i).is_some_and(|chain| chain.explicit)
        });
        if !says || self.before.is_some() {
            self.separate(Kind::Comma);
            return open + 1;
        }
        self.asides.push((open + 1..close, self.clauses.len()));
        close + 1
    }

    fn verb(&mut self, start: usize, chain: &Chain) {
        let before = start.checked_sub(1).and_then(|i| self.kind(i));
        let at = self.span(start, chain.end);
        if before == Some(Kind::Relative) {
            self.relative(chain, at);
            return;
        }
        let separated = !self.item.begun;
        // The item that is open belongs to what may be judged.
        let open = std::mem::take(&mut self.item);
        let after_or = open.after_or;
        if open.begun {
            self.clause.items.push(open);
        }
        let judges = (chain.passive && (chain.finite || !chain.verb || chain.explicit))
            || chain.short
            || (chain.finite && !separated);
        let object = matches!(
            self.kind(chain.end),
            Some(Kind::Colon | Kind::Link | Kind::Term { .. } | Kind::Verb(_))
        ) || self.kind(chain.end.saturating_sub(1)) == Some(Kind::Link);
        if judges && !self.clause.closed && self.clause.has_target(chain.passive || chain.short) {
            self.judge(chain);
            return;
        }
        if judges && separated && !object && !self.clause.has_terms() && chain.explicit {
            // "are allowed and may be shared": both must permit.
            let last = if self.clause.closed {
                Some(&mut self.clause)
            } else {
                self.clauses.last_mut()
            };
            if let Some(last) = last
                && last.closed
            {
                last.sign = last.sign.min(chain.sign);
                return;
            }
        }
        self.govern(chain, separated, before, after_or);
    }

    /// A verb behind what it judges.
    fn judge(&mut self, chain: &Chain) {
        let mut sign = if chain.explicit { chain.sign } else { 0 };
        if chain.short {
            sign = match self.clauses.last() {
                Some(last) if last.sign != 0 => -last.sign,
                _ => -1,
            };
        }
        let clause = &mut self.clause;
        if clause.except && !clause.leading {
            let given = sign;
            if let Some(main) = self.clauses.last_mut()
                && !main.closed
                && given != 0
            {
                main.sign = match main.sign {
                    0 => given,
                    own if main.subject => own * given,
                    own => own.min(given),
                };
                clause.sign = -main.sign;
                main.closed = true;
            }
        } else if !clause.forward {
            clause.sign = sign;
        } else if sign == 0 {
            // It says no more than the verb at the front.
        } else if clause.subject {
            clause.sign = if clause.sign == 0 {
                sign
            } else {
                clause.sign * sign
            };
        } else if clause.items.len() > 1
            && clause
                .items
                .last()
                .is_some_and(|item| !item.after_or && !item.terms.is_empty())
        {
            let judged = clause.items.pop().into_iter().collect();
            let done = std::mem::take(clause);
            self.clauses.push(done);
            clause.items = judged;
            clause.sign = sign;
        } else if clause.except && clause.leading && sign > 0 {
            // "Everything but passwords may be shared."
            clause.sign = -1;
        } else {
            clause.sign = if clause.sign == 0 {
                sign
            } else {
                clause.sign.min(sign)
            };
        }
        self.clause.closed = true;
    }

    /// A verb in front of what it is about.
    fn govern(&mut self, chain: &Chain, separated: bool, before: Option<Kind>, after_or: bool) {
        let joined = matches!(before, Some(Kind::Comma | Kind::And | Kind::Or));
        if self.clause.has_terms() || self.clause.closed {
            if !chain.explicit {
                // "Do not block names or share passwords": the second is a rule of its own.
                if joined && separated && !chain.subject {
                    let sign = if self.clause.negated { -1 } else { 0 };
                    self.end_clause();
                    self.clause.sign = sign;
                    self.clause.negated = sign < 0;
                }
                return;
            }
            let negated = self.clause.negated && !self.clause.closed;
            let forbids = self.clause.sign < 0 && !negated;
            // "Block e-mail addresses, not phone numbers".
            if chain.bare && separated && forbids {
                self.except();
                return;
            }
            self.end_clause();
            let carried = negated && !chain.negated && matches!(before, Some(Kind::Or | Kind::And));
            self.clause.sign = if carried { -1 } else { chain.sign };
            self.clause.negated = chain.negated || carried;
        } else {
            // What is before is who does it.
            let subject = self.clause.items.iter().any(|item| item.unknown);
            let negated = self.clause.negated;
            let sign = match (chain.explicit, joined && self.clause.sign != 0) {
                (false, _) => self.clause.sign,
                (true, true) if negated && !chain.negated => self.clause.sign.min(-chain.sign),
                (true, true) => self.clause.sign.min(chain.sign),
                (true, false) if self.clause.sign != 0 && !self.clause.except => {
                    self.clause.sign * chain.sign
                }
                (true, false) => chain.sign,
            };
            self.clause.sign = sign;
            self.clause.negated |= chain.negated;
            if sign > 0 {
                self.clause.limited |= subject;
            } else {
                self.clause.items.clear();
            }
        }
        self.clause.forward |= chain.explicit || chain.subject;
        self.clause.subject = chain.subject;
        self.item.after_or = after_or;
    }

    /// A verb of "that ...": it tells of what is meant, and permits nothing.
    fn relative(&mut self, chain: &Chain, at: Range<usize>) {
        let named = !self.item.terms.is_empty();
        if !chain.negated || named {
            if named && chain.explicit {
                self.say(at, true);
            }
            return;
        }
        self.end_item();
        if self.clause.forward && self.clause.sign < 0 {
            self.clause.unclear = true;
        } else {
            self.clause.sign = -1;
            self.clause.forward = true;
        }
        self.clause.negated = true;
        // A verb at the end is about the whole: "records that do not contain ... are blocked".
        self.clause.subject = true;
        self.clause.items.clear();
    }

    fn span(&self, start: usize, end: usize) -> Range<usize> {
        let from = self.tokens.get(start).map_or(0, |token| token.at.start);
        let to = self
            .tokens
            .get(end.saturating_sub(1))
            .map_or(from, |token| token.at.end);
        from..to
    }
}
