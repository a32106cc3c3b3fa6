//! Check digits.

/// Luhn's check over digits, the last of which is the check digit.
pub(super) fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .zip([false, true].into_iter().cycle())
        .map(|(digit, twice)| match (u32::from(*digit), twice) {
            (digit, false) => digit,
            (digit @ 0..=4, true) => 2 * digit,
            (digit, true) => 2 * digit - 9,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// The check of the numbers of articles (EAN, UPC, GTIN) over digits, the last of which is the
/// check digit.
pub(super) fn gtin(digits: &[u8]) -> bool {
    let weights = [1, 3].into_iter().cycle();
    let sum: u32 = digits
        .iter()
        .rev()
        .zip(weights)
        .map(|(digit, weight)| weight * u32::from(*digit))
        .sum();
    sum.is_multiple_of(10)
}

/// The remainder by 97 of what digits and letters say, a letter being two digits from 10 on.
pub(super) fn mod_97<'a>(chars: impl IntoIterator<Item = &'a u8>) -> u32 {
    chars.into_iter().fold(0, |rest, byte| match byte {
        b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
        _ => (rest * 100 + u32::from(byte.to_ascii_uppercase().saturating_sub(b'A')) + 10) % 97,
    })
}

/// ISO 7064 MOD 11,10: whether the last of some ASCII digits is the check digit of the others.
pub(super) fn mod_11_10(digits: &[u8]) -> bool {
    let Some((check, digits)) = digits.split_last() else {
        return false;
    };
    let product = digits.iter().fold(10, |product, byte| {
        let sum = (u32::from(byte.saturating_sub(b'0')) + product) % 10;
        (if sum == 0 { 10 } else { sum }) * 2 % 11
    });
    (11 - product) % 10 == u32::from(check.saturating_sub(b'0'))
}

/// Whether an ASCII digit is the check digit, by the weights 7, 3 and 1, of what a travel
/// document says: digits, upper case letters from 10 on, and `<` for nothing.
pub(super) fn travel(chars: &[u8], check: u8) -> bool {
    let mut sum = 0;
    for (byte, weight) in chars.iter().zip([7, 3, 1].into_iter().cycle()) {
        sum += weight
            * match byte {
                b'0'..=b'9' => u32::from(byte - b'0'),
                b'A'..=b'Z' => u32::from(byte - b'A') + 10,
                b'<' => 0,
                _ => return false,
            };
    }
    check.is_ascii_digit() && sum % 10 == u32::from(check - b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_numbers_have_their_check_digits() {
        assert!(luhn(&[4, 9, 9, 2, 7, 3, 9, 8, 7, 1, 6]));
        assert!(!luhn(&[4, 9, 9, 2, 7, 3, 9, 8, 7, 1, 7]));
        assert!(gtin(&[4, 0, 0, 6, 3, 8, 1, 3, 3, 3, 9, 3, 1]));
        assert!(!gtin(&[4, 0, 0, 6, 3, 8, 1, 3, 3, 3, 9, 3, 2]));
        assert_eq!(mod_97(b"3214282912345698765432161182"), 1);
        assert_eq!(mod_97(b"WEST12345698765432GB82"), 1);
        assert!(mod_11_10(b"86095742719"));
        assert!(!mod_11_10(b"86095742718"));
        assert!(travel(b"L898902C3", b'6'));
        assert!(travel(b"D23145890", b'7'));
        assert!(!travel(b"D23145890", b'8'));
    }
}
