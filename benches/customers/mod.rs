//! Customers that look real enough to measure with: fifteen fields and about 300 bytes each, the
//! same ones for the same seed. About a tenth lives in the European Union, one in a hundred has
//! no country, one in twenty never said whether they consent.

use std::io::{self, Write};

/// The fields, in their order.
pub(crate) const FIELDS: [&str; 15] = [
    "id",
    "first_name",
    "last_name",
    "email",
    "phone",
    "country",
    "city",
    "street",
    "postcode",
    "consent",
    "score",
    "balance",
    "signup_date",
    "last_seen",
    "notes",
];

/// The ten codes that the policies withhold.
pub(crate) const EUROPE: [&str; 10] = ["DE", "FR", "IT", "ES", "NL", "BE", "AT", "SE", "DK", "FI"];

const ELSEWHERE: [&str; 20] = [
    "US", "US", "US", "US", "CA", "CA", "GB", "GB", "BR", "BR", "IN", "IN", "JP", "AU", "MX", "KR",
    "ZA", "CH", "NO", "NZ",
];
const FIRST_NAMES: [&str; 32] = [
    "Ada",
    "Bo",
    "Carmen",
    "Dmitri",
    "Elif",
    "Fatima",
    "George",
    "Hana",
    "Ingrid",
    "João",
    "Kofi",
    "Linda",
    "Margaret",
    "Noor",
    "Oscar",
    "Patricia",
    "Quentin",
    "Rosa",
    "Søren",
    "Tomoko",
    "Uma",
    "Victor",
    "Wanjiru",
    "Xavier",
    "Yusuf",
    "Zoë",
    "Christopher",
    "Elizabeth",
    "Guillermo",
    "Mei",
    "Sam",
    "Theodora",
];
const LAST_NAMES: [&str; 32] = [
    "Anderson",
    "Brown",
    "Castillo",
    "Davis",
    "Evans",
    "Fernandez",
    "Garcia",
    "Hughes",
    "Ito",
    "Johnson",
    "Kim",
    "Lopez",
    "Müller",
    "Nguyen",
    "O'Brien",
    "Patel",
    "Quinn",
    "Robinson",
    "Smith",
    "Taylor",
    "Usman",
    "Vasquez",
    "Williams",
    "Xu",
    "Young",
    "Zhang",
    "Washington",
    "Mackenzie",
    "Nakamura",
    "Oyelaran",
    "Lindqvist",
    "Petrov",
];
const DOMAINS: [&str; 8] = [
    "example.com",
    "mail.example.com",
    "shop.example.com",
    "post.example.com",
    "inbox.example.com",
    "example.org",
    "example.net",
    "mail.example.net",
];
const STREETS: [&str; 16] = [
    "Main Street",
    "Oak Avenue",
    "Maple Drive",
    "Station Road",
    "Church Lane",
    "High Street",
    "Park Road",
    "Victoria Street",
    "Mill Lane",
    "Queens Road",
    "Washington Boulevard",
    "Cedar Court",
    "Hillside Terrace",
    "Lake View",
    "Elm Street",
    "Rue de la Gare",
];
const CITY_FIRST: [&str; 10] = [
    "", "New ", "North ", "South ", "East ", "West ", "Old ", "Upper ", "Lower ", "Port ",
];
const CITY_MIDDLE: [&str; 40] = [
    "Spring", "River", "Oak", "Clear", "Green", "Fair", "Stone", "Mill", "Bridge", "Lake", "Ash",
    "Brook", "Cedar", "Deer", "Eagle", "Fox", "Glen", "Harbor", "Iron", "Jasper", "King", "Lime",
    "Maple", "Nor", "Orchard", "Pine", "Queen", "Rose", "Salt", "Thorn", "Union", "Vale", "Water",
    "Yarrow", "Zion", "Birch", "Copper", "Dover", "Elm", "Falcon",
];
const CITY_LAST: [&str; 25] = [
    "field", "ton", "ville", "burg", "ford", "wood", "view", "side", "dale", "port", "bury", "ham",
    "mouth", "stead", "worth", "wick", "land", "haven", "brook", "hill", "ridge", "gate", "crest",
    "cliff", "moor",
];
const NOTES: [&str; 8] = [
    "",
    "prefers a call in the morning",
    "said \"no newsletters\", but likes offers",
    "gift card, not redeemed",
    "VIP",
    "moved house; ask for the new address",
    "größere Größen",
    "two accounts were merged in spring",
];

/// How many cities there are.
pub(crate) const CITIES: u64 = 10_000;

/// The name of the n-th city.
pub(crate) fn city(n: u64) -> String {
    let pick = |list: &[&'static str], n: u64| list[(n % list.len() as u64) as usize];
    let (first, middle) = (pick(&CITY_FIRST, n / 1_000), pick(&CITY_MIDDLE, n));
    format!("{first}{middle}{}", pick(&CITY_LAST, n / 40))
}

/// One customer. `None` is NULL.
pub(crate) struct Customer {
    pub(crate) id: u64,
    pub(crate) first_name: &'static str,
    pub(crate) last_name: &'static str,
    pub(crate) email: String,
    pub(crate) phone: String,
    pub(crate) country: Option<&'static str>,
    pub(crate) city: String,
    pub(crate) street: String,
    pub(crate) postcode: String,
    pub(crate) consent: Option<bool>,
    /// 0 to 999.
    pub(crate) score: u64,
    /// In cents, up to 9999.99.
    pub(crate) balance: u64,
    /// Days since 1970.
    pub(crate) signup_date: u64,
    /// Seconds since 1970.
    pub(crate) last_seen: u64,
    pub(crate) notes: Option<&'static str>,
}

/// Customers without end.
pub(crate) struct Customers {
    state: u64,
    id: u64,
}

impl Customers {
    /// The customers of a seed.
    pub(crate) fn new(seed: u64) -> Customers {
        Customers { state: seed, id: 0 }
    }

    /// SplitMix64.
    fn below(&mut self, bound: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.state;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((u128::from(x ^ (x >> 31)) * u128::from(bound)) >> 64) as u64
    }

    fn pick(&mut self, list: &[&'static str]) -> &'static str {
        list[self.below(list.len() as u64) as usize]
    }
}

impl Iterator for Customers {
    type Item = Customer;

    fn next(&mut self) -> Option<Customer> {
        self.id += 1;
        let id = self.id;
        let (first_name, last_name) = (self.pick(&FIRST_NAMES), self.pick(&LAST_NAMES));
        let ascii = |name: &str| name.replace(|c: char| !c.is_ascii_alphabetic(), "");
        let (local, domain) = (ascii(first_name).to_lowercase(), self.pick(&DOMAINS));
        let country = match self.below(100) {
            0..10 => Some(self.pick(&EUROPE)),
            10 => None,
            _ => Some(self.pick(&ELSEWHERE)),
        };
        let consent = match self.below(20) {
            0..14 => Some(true),
            14..19 => Some(false),
            _ => None,
        };
        let notes = match self.below(3) {
            0 => None,
            _ => Some(self.pick(&NOTES)),
        };
        Some(Customer {
            id,
            first_name,
            last_name,
            email: format!("{local}.{}{id}@{domain}", ascii(last_name).to_lowercase()),
            phone: format!("+{} {:09}", 1 + self.below(90), self.below(1_000_000_000)),
            country,
            city: city(self.below(CITIES)),
            street: format!("{} {}", 1 + self.below(999), self.pick(&STREETS)),
            postcode: format!("{:05}", self.below(100_000)),
            consent,
            score: self.below(1_000),
            balance: self.below(1_000_000),
            // 2016 to 2025, and the year 2026.
            signup_date: 16_801 + self.below(3_652),
            last_seen: 1_767_225_600 + self.below(27_000_000),
            notes,
        })
    }
}

/// The day as year, month and day.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (
        day - (153 * month + 2) / 5 + 1,
        if month < 10 { month + 3 } else { month - 9 },
    );
    (era * 400 + year + u64::from(month <= 2), month, day)
}

impl Customer {
    fn date(&self) -> String {
        let (year, month, day) = civil(self.signup_date);
        format!("{year:04}-{month:02}-{day:02}")
    }

    fn seen(&self) -> String {
        let (year, month, day) = civil(self.last_seen / 86_400);
        let second = self.last_seen % 86_400;
        let (hour, minute) = (second / 3_600, second / 60 % 60);
        format!(
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{:02}Z",
            second % 60
        )
    }

    /// As a JSON object, without a line end.
    pub(crate) fn write_json(&self, out: &mut impl Write) -> io::Result<()> {
        let text = |value: Option<&str>| match value {
            None => "null".to_owned(),
            Some(value) => format!("\"{}\"", value.replace('"', "\\\"")),
        };
        let consent = match self.consent {
            None => "null",
            Some(true) => "true",
            Some(false) => "false",
        };
        let Customer {
            id,
            first_name,
            last_name,
            email,
            phone,
            city,
            street,
            postcode,
            score,
            ..
        } = self;
        write!(
            out,
            r#"{{"id":{id},"first_name":"{first_name}","last_name":"{last_name}","#
        )?;
        write!(out, r#""email":"{email}","phone":"{phone}","#)?;
        write!(out, r#""country":{},"city":"{city}","#, text(self.country))?;
        write!(out, r#""street":"{street}","postcode":"{postcode}","#)?;
        write!(
            out,
            r#""consent":{consent},"score":{score},"balance":{}.{:02},"#,
            self.balance / 100,
            self.balance % 100
        )?;
        write!(
            out,
            r#""signup_date":"{}","last_seen":"{}","notes":{}}}"#,
            self.date(),
            self.seen(),
            text(self.notes)
        )
    }

    /// As a line of CSV with its line end: NULL is an empty field, an empty text is `""`.
    pub(crate) fn write_csv(&self, out: &mut impl Write) -> io::Result<()> {
        let text = |value: Option<&str>| match value {
            None => String::new(),
            Some(value) if value.is_empty() || value.contains([',', '"']) => {
                format!("\"{}\"", value.replace('"', "\"\""))
            }
            Some(value) => value.to_owned(),
        };
        let consent = match self.consent {
            None => "",
            Some(true) => "true",
            Some(false) => "false",
        };
        writeln!(
            out,
            "{},{},{},{},{},{},{},{},{},{consent},{},{}.{:02},{},{},{}",
            self.id,
            self.first_name,
            self.last_name,
            self.email,
            self.phone,
            text(self.country),
            self.city,
            self.street,
            self.postcode,
            self.score,
            self.balance / 100,
            self.balance % 100,
            self.date(),
            self.seen(),
            text(self.notes)
        )
    }
}
