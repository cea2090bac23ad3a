//! SHA-256, signatures with a shared secret by it (HMAC), their digits, and a comparison whose time says nothing.
//!
//! Danger: a signature that is compared letter by letter tells by its time how far a guess was right; compare with [`constant_time_eq`].

use sha2::{Digest, Sha256};

/// Returns the HMAC with SHA-256 of a message.
pub fn hmac_sha256(secret: &[u8], message: &[u8]) -> [u8; 32] {
    let mut key = [0_u8; 64];
    let hashed;
    let given = if secret.len() > key.len() {
        hashed = digest(secret);
        &hashed[..]
    } else {
        secret
    };
    for (slot, byte) in key.iter_mut().zip(given) {
        *slot = *byte;
    }
    let inner = digest(&[&key.map(|byte| byte ^ 0x36)[..], message].concat());
    digest(&[&key.map(|byte| byte ^ 0x5c)[..], &inner].concat())
}

/// Returns the SHA-256 of bytes.
pub fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Compares without telling by the time where the difference is.
pub fn constant_time_eq(one: &[u8; 32], other: &[u8; 32]) -> bool {
    let difference = one.iter().zip(other).fold(0, |all, (a, b)| all | (a ^ b));
    std::hint::black_box(difference) == 0
}

/// Returns bytes in hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or('0');
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(digit).collect()
}

/// Reads 32 bytes in hexadecimal digits.
pub fn read_hex(text: &str) -> Option<[u8; 32]> {
    let is_whole = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut bytes = [0; 32];
    for (at, byte) in bytes.iter_mut().enumerate() {
        let digits = text.get(at * 2..at * 2 + 2).filter(|_| is_whole)?;
        *byte = u8::from_str_radix(digits, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_hmac_with_sha_256() {
        // RFC 4231, test cases 2 and 6.
        assert_eq!(
            hex(&hmac_sha256(b"Jefe", b"what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert_eq!(
            hex(&hmac_sha256(
                &[0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First"
            )),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }

    #[test]
    fn digits_are_read_whole_or_not_at_all() {
        let bytes = digest(b"x");
        assert_eq!(read_hex(&hex(&bytes)), Some(bytes));
        assert_eq!(read_hex(&hex(&bytes).to_uppercase()), Some(bytes));
        for wrong in ["", "ab", &"g".repeat(64), &"+".repeat(64), &"0".repeat(65)] {
            assert_eq!(read_hex(wrong), None, "{wrong}");
        }
        assert!(constant_time_eq(&bytes, &bytes) && !constant_time_eq(&bytes, &digest(b"y")));
    }
}
