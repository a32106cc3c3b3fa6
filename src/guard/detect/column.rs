//! What the name of a column says about what stands in it.

use super::context::{Topic, Topics};
use super::lexicon::{speaking_of, spelt};

/// What names of columns say that are about a value and do not hold it.
const ABOUT_VALUES: &str = "\
    id uuid type typ kind count flag is has verified validated confirmed valid required \
    enabled status hash hashed sent created updated changed format campaign template version \
    score length url source latitude longitude lat lng lon";

/// What makes an address none that letters are sent to, or only such a part of it as a city.
const OTHER_ADDRESSES: &str = "\
    email mail ip ipv4 ipv6 mac web website host server wallet contract token bitcoin btc \
    ethereum eth memory city town country state region zip zipcode postal postcode plz \
    number no";

/// What has a name and is no person.
const OTHER_NAMES: &str = "\
    product item company organisation organization business file host domain server event \
    table column field brand bank project city country street school team group app service \
    device produkt produit producto prodotto produto fichier fichero archivo empresa \
    entreprise azienda firma ville pays ciudad pais artikel article";

/// The words that say that a name with one of a topic's words speaks of something else, such as
/// the `type` of an address.
fn denials(topic: Topic) -> impl Iterator<Item = &'static str> {
    let (about, other) = match topic {
        Topic::Birth => (ABOUT_VALUES, ""),
        Topic::Address => (ABOUT_VALUES, OTHER_ADDRESSES),
        Topic::Person => (ABOUT_VALUES, OTHER_NAMES),
        _ => ("", ""),
    };
    about
        .split(' ')
        .chain(other.split(' '))
        .filter(|word| !word.is_empty())
}

impl Topics {
    /// What the name of a column is about: its words are told apart by case, digits and marks, and
    /// may be plural. Of a dotted path the last part counts, and together with the one before it
    /// where it says nothing by itself, such as the `value` of a `phone`.
    pub fn of_name(path: &str) -> Topics {
        // How the elements of lists are called says nothing.
        let mut parts = path
            .rsplit('.')
            .filter(|part| !matches!(*part, "item" | "element" | "list"));
        let last = Name::of(parts.next().unwrap_or_default());
        let parent = Name::of(parts.next().unwrap_or_default());
        let both = parent.followed_by(&last);
        let own = last.speaks_of();
        let topics = match own.is_empty() {
            true => both.speaks_of(),
            false => own,
        };
        // A single word leaves it to the part before it which kind is meant: `email.address`.
        let denied = match own.is_empty() || last.is_one_word() {
            true => both.denies(),
            false => last.denies(),
        };
        topics.without(denied)
    }
}

/// The name of a column in each way its words can be told apart; see `spell`.
struct Name {
    /// By case and marks.
    words: Vec<u8>,
    /// Also before and behind digits, and between an acronym and a word.
    split: Vec<u8>,
    /// The latter without the `s` of a plural.
    singular: Vec<u8>,
}

impl Name {
    fn of(name: &str) -> Name {
        let mut split = String::with_capacity(name.len() + 8);
        let mut chars = name.chars().peekable();
        let mut last = ' ';
        while let Some(char) = chars.next() {
            let digits = char.is_ascii_digit() != last.is_ascii_digit();
            let next = chars.peek().copied().unwrap_or(' ');
            // Not the `Ns` of `SSNs`.
            let acronym = last.is_uppercase()
                && char.is_uppercase()
                && next.is_lowercase()
                && !(next == 's' && chars.clone().nth(1).is_none_or(|c| !c.is_lowercase()));
            if digits || acronym {
                split.push(' ');
            }
            split.push(char);
            last = char;
        }
        let split = spelt(&split);
        let mut singular = vec![b' '];
        for word in split.split(|byte| *byte == b' ').filter(|w| !w.is_empty()) {
            let stem = match word {
                [stem @ .., b's'] if stem.len() > 2 && stem.last() != Some(&b's') => stem,
                word => word,
            };
            singular.extend_from_slice(stem);
            singular.push(b' ');
        }
        Name {
            words: spelt(name),
            split,
            singular,
        }
    }

    fn followed_by(&self, other: &Name) -> Name {
        // Each ends in a blank, and one between words is enough.
        let join = |one: &[u8], two: &[u8]| {
            let mut both = one.to_vec();
            both.extend(two.iter().skip(1));
            both
        };
        Name {
            words: join(&self.words, &other.words),
            split: join(&self.split, &other.split),
            singular: join(&self.singular, &other.singular),
        }
    }

    fn speaks_of(&self) -> Topics {
        speaking_of(&self.words)
            .and(speaking_of(&self.split))
            .and(speaking_of(&self.singular))
    }

    fn is_one_word(&self) -> bool {
        self.words.iter().filter(|byte| **byte == b' ').count() == 2
    }

    /// The topics that its words deny.
    fn denies(&self) -> Topics {
        let says = |denial: &str| {
            [&self.words, &self.split, &self.singular]
                .into_iter()
                .flat_map(|words| words.split(|byte| *byte == b' '))
                .any(|word| word == denial.as_bytes())
        };
        Topic::ALL
            .into_iter()
            .filter(|topic| denials(*topic).any(says))
            .fold(Topics::NONE, Topics::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_words() {
        for (name, topic) in [
            ("email", Some(Topic::Email)),
            ("customerEmail", Some(Topic::Email)),
            ("E-Mail", Some(Topic::Email)),
            ("contact.phone", Some(Topic::Phone)),
            ("phone.value", Some(Topic::Phone)),
            ("DateOfBirth", Some(Topic::Birth)),
            ("DOB", Some(Topic::Birth)),
            ("cell_site", Some(Topic::Phone)),
            ("customer_addr1", Some(Topic::Address)),
            ("address2", Some(Topic::Address)),
            ("BillingAddress", Some(Topic::Address)),
            ("ShippingStreet", Some(Topic::Address)),
            ("strasse", Some(Topic::Address)),
            ("Straße", Some(Topic::Address)),
            ("addresses.item.street", Some(Topic::Address)),
            ("mailing_address", Some(Topic::Address)),
            ("address.line1", Some(Topic::Address)),
            ("dateOfBirth", Some(Topic::Birth)),
            ("customer-dob", Some(Topic::Birth)),
            ("patientDOBValue", Some(Topic::Birth)),
            ("born_at", Some(Topic::Birth)),
            ("fecha_nacimiento", Some(Topic::Birth)),
            ("Geburtsdatum", Some(Topic::Birth)),
            ("FirstName", Some(Topic::Person)),
            ("last_name", Some(Topic::Person)),
            ("fullName", Some(Topic::Person)),
            ("kunde_vorname", Some(Topic::Person)),
            ("customer.name", Some(Topic::Person)),
            ("Prénom", Some(Topic::Person)),
            ("Pre\u{301}nom", Some(Topic::Person)),
            ("emails.item", Some(Topic::Email)),
            ("IBANs", Some(Topic::BankAccount)),
            ("name", None),
            ("Name", None),
            ("Composer", None),
            ("product_name", None),
            ("nombre_producto", None),
            ("contact_company_name", None),
            ("file_name", None),
            ("address_type", None),
            ("address_id", None),
            ("address.city", None),
            ("birthday_campaign_sent_at", None),
            ("streetcar", None),
            ("excellent", None),
            ("telemetry", None),
        ] {
            let topics = Topics::of_name(name);
            match topic {
                Some(topic) => assert!(topics.contains(topic), "{name}: {topics:?}"),
                None => assert!(topics.is_empty(), "{name}: {topics:?}"),
            }
        }
    }

    #[test]
    fn other_addresses_are_none_of_letters() {
        for name in [
            "email_address",
            "emailAddress",
            "email.address",
            "ip_address",
            "IPAddress",
            "mac address",
            "web-address",
            "wallet_address",
        ] {
            assert!(!Topics::of_name(name).contains(Topic::Address), "{name}");
        }
    }
}
