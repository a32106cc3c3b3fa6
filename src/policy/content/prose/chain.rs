//! The verbs of a sentence, with their auxiliaries and negations.

use super::sentence::Token;
use super::words::Kind;

/// Words that make up one verb: "must not be shared".
pub(super) struct Chain {
    pub(super) end: usize,
    pub(super) sign: i8,
    pub(super) explicit: bool,
    pub(super) negated: bool,
    /// It has a subject: "must not", "is".
    pub(super) finite: bool,
    pub(super) passive: bool,
    pub(super) subject: bool,
    /// No more than "not".
    pub(super) bare: bool,
    /// No verb after its auxiliary: "phone numbers are not".
    pub(super) short: bool,
    pub(super) verb: bool,
}

impl Chain {
    fn turn(&mut self, sign: i8, modal: bool) {
        match sign {
            0 => self.explicit |= modal && !self.verb,
            -1 => {
                self.sign = -self.sign;
                self.explicit = true;
            }
            _ => self.explicit = true,
        }
        self.verb = true;
    }
}

/// The verb that starts at a token, if one does.
pub(super) fn chain(tokens: &[Token], start: usize) -> Option<Chain> {
    let kind_of = |i: usize| tokens.get(i).map(|token| token.kind);
    let is_gerund = |i| matches!(kind_of(i), Some(Kind::Gerund(_)));
    let before = start.checked_sub(1).and_then(kind_of);
    let separated = matches!(
        before,
        None | Some(
            Kind::Comma
                | Kind::And
                | Kind::Or
                | Kind::But
                | Kind::Example
                | Kind::Colon
                | Kind::Open
                | Kind::Close
                | Kind::If
                | Kind::Except
                | Kind::Unless
        )
    );
    let mut chain = Chain {
        end: start,
        sign: 1,
        explicit: false,
        negated: false,
        finite: false,
        passive: false,
        subject: false,
        bare: false,
        short: false,
        verb: false,
    };
    let mut last = before;
    let mut modal = false;
    let mut auxiliary = false;
    let mut nots = 0;
    let mut not_only = false;
    // Bounded, so that a text of nothing but auxiliaries takes linear time.
    while let Some(kind) = kind_of(chain.end).filter(|_| chain.end - start < 16) {
        let first = chain.end == start;
        let led = matches!(
            last,
            Some(
                Kind::Auxiliary
                    | Kind::Modal
                    | Kind::Be
                    | Kind::Link
                    | Kind::Not
                    | Kind::NotOnly
                    | Kind::Cannot
            )
        ) || (first && matches!(last, Some(Kind::Pronoun)));
        match kind {
            Kind::No | Kind::Not | Kind::Cannot => {
                if chain.verb {
                    break;
                }
                chain.sign = -chain.sign;
                chain.explicit = true;
                chain.negated = true;
                chain.finite |= first && kind == Kind::Cannot;
                auxiliary |= kind == Kind::Cannot;
                chain.subject |= kind == Kind::No;
                nots += 1;
            }
            Kind::Auxiliary | Kind::Modal | Kind::Be => {
                chain.finite |= first;
                auxiliary = true;
                modal |= kind == Kind::Modal;
            }
            Kind::NotOnly
                if !chain.verb
                    && (auxiliary || matches!(kind_of(chain.end + 1), Some(Kind::Verb(_)))) =>
            {
                not_only = true;
            }
            Kind::Link if !first => {}
            Kind::Pronoun if !first && !chain.verb => {}
            Kind::Filler if !first && chain.verb && is_gerund(chain.end + 1) => {}
            Kind::Preposition if !first && chain.verb && is_gerund(chain.end + 1) => {}
            Kind::Verb(sign)
                if led || (first && separated) || (!first && last == Some(Kind::Pronoun)) =>
            {
                chain.passive = false;
                chain.turn(sign, modal);
            }
            Kind::Gerund(sign)
                if !first
                    || separated
                    || led
                    || matches!(before, Some(Kind::Filler | Kind::Preposition)) =>
            {
                chain.subject |= !chain.verb && !auxiliary;
                chain.turn(sign, modal);
            }
            Kind::Done(sign)
                if matches!(
                    last,
                    Some(
                        Kind::Auxiliary
                            | Kind::Modal
                            | Kind::Be
                            | Kind::Link
                            | Kind::Not
                            | Kind::NotOnly
                            | Kind::Cannot
                            | Kind::Term { .. }
                    )
                ) || (first
                    && (matches!(before, Some(Kind::Colon | Kind::Open))
                        || matches!(kind_of(chain.end + 1), Some(Kind::Colon | Kind::Be))
                        || (separated && kind_of(chain.end + 1).is_none()))) =>
            {
                // "shared" alone tells no more than the data that it is about.
                if first && sign == 0 {
                    return None;
                }
                chain.passive = true;
                chain.turn(sign, modal);
            }
            _ => break,
        }
        last = Some(kind);
        chain.end += 1;
    }
    if chain.end == start || !(chain.verb || chain.negated) {
        return None;
    }
    // "Do not simply mask", "do not simply allow": both ask for more.
    if not_only && chain.verb {
        chain.sign = -1;
        chain.explicit = true;
    }
    chain.bare = !chain.verb && !auxiliary && nots == 1 && !chain.subject;
    chain.short = !chain.verb
        && auxiliary
        && matches!(
            kind_of(chain.end),
            None | Some(Kind::Comma | Kind::But | Kind::And | Kind::Or | Kind::Close)
        );
    Some(chain)
}
