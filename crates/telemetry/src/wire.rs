//! Protobuf as far as OTLP needs it: fields are appended to a buffer, and read back from one.

const VARINT: u64 = 0;
const FIXED_64: u64 = 1;
const BYTES: u64 = 2;
const FIXED_32: u64 = 5;

/// One field of a message: a number where it is one, else bytes.
pub(crate) struct Field<'a> {
    pub(crate) number: u64,
    pub(crate) value: u64,
    pub(crate) bytes: &'a [u8],
}

// === writing ===

/// Appends a number in as few bytes as it needs.
pub(crate) fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// How many bytes that takes.
#[inline]
pub(crate) fn varint_len(value: u64) -> usize {
    // Seven bits a byte, and one byte for zero.
    if value < 0x80 { 1 } else { ((64 - value.leading_zeros()) as usize).div_ceil(7) }
}

/// Appends a whole number.
pub(crate) fn number(out: &mut Vec<u8>, field: u64, value: u64) {
    varint(out, (field << 3) | VARINT);
    varint(out, value);
}

/// Appends a number of eight bytes, in a field below 16.
pub(crate) fn fixed_64(out: &mut Vec<u8>, field: u64, value: u64) {
    let [tag, ..] = ((field << 3) | FIXED_64).to_le_bytes();
    let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
    out.extend_from_slice(&[tag, a, b, c, d, e, f, g, h]);
}

/// Appends a number of four bytes.
pub(crate) fn fixed_32(out: &mut Vec<u8>, field: u64, value: u32) {
    varint(out, (field << 3) | FIXED_32);
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends bytes or a text.
pub(crate) fn bytes(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    begin(out, field, bytes.len());
    out.extend_from_slice(bytes);
}

/// Appends what stands in front of a text or a message of so many bytes.
pub(crate) fn begin(out: &mut Vec<u8>, field: u64, length: usize) {
    varint(out, (field << 3) | BYTES);
    varint(out, length as u64);
}

/// What stands in front of the length of a text or a message, in a field below 16.
pub(crate) const fn tag(field: u64) -> u8 {
    ((field << 3) | BYTES).to_le_bytes()[0]
}

/// How many bytes a text or a message of so many bytes takes, in a field below 16.
#[inline]
pub(crate) fn len_of(length: usize) -> usize {
    1 + varint_len(length as u64) + length
}

/// Appends a message whose length is known only when it is written. Most have less than 128 bytes; a longer one is moved.
pub(crate) fn nested(out: &mut Vec<u8>, field: u64, write: impl FnOnce(&mut Vec<u8>)) {
    varint(out, (field << 3) | BYTES);
    out.push(0);
    let start = out.len();
    write(out);
    close(out, start);
}

/// Writes the length of what began at `start`, right behind the byte that was left for it.
fn close(out: &mut Vec<u8>, start: usize) {
    let length = out.len().saturating_sub(start) as u64;
    match (u8::try_from(length), start.checked_sub(1).and_then(|place| out.get_mut(place))) {
        (Ok(short @ ..=0x7f), Some(place)) => *place = short,
        (_, None) => {}
        (_, Some(_)) => {
            let mut told = Vec::with_capacity(varint_len(length));
            varint(&mut told, length);
            out.splice(start - 1..start, told);
        }
    }
}

// === reading ===

/// The fields of a message, up to the first that cannot be read.
pub(crate) fn fields(mut rest: &[u8]) -> impl Iterator<Item = Field<'_>> {
    std::iter::from_fn(move || {
        let tag = read_varint(&mut rest)?;
        let number = tag >> 3;
        let numeric = |value| Some(Field { number, value, bytes: &[] });
        match tag & 7 {
            VARINT => numeric(read_varint(&mut rest)?),
            FIXED_64 => numeric(u64::from_le_bytes(*rest.split_off(..8)?.as_array()?)),
            FIXED_32 => numeric(u64::from(u32::from_le_bytes(*rest.split_off(..4)?.as_array()?))),
            BYTES => {
                let length = usize::try_from(read_varint(&mut rest)?).ok()?;
                Some(Field { number, value: 0, bytes: rest.split_off(..length)? })
            }
            _ => None,
        }
    })
}

fn read_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = *rest.split_off_first()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for length in [0, 1, 127, 128, 20_000] {
            let text = vec![b'x'; length];
            let mut out = b"before".to_vec();
            nested(&mut out, 3, |out| {
                bytes(out, 1, &text);
                number(out, 2, u64::MAX);
                fixed_64(out, 4, 7);
                fixed_32(out, 16, 9);
            });
            let field = fields(&out[6..]).next().unwrap();
            assert_eq!(field.number, 3);
            let read: Vec<_> =
                fields(field.bytes).map(|field| (field.number, field.value, field.bytes.len())).collect();
            assert_eq!(read, [(1, 0, length), (2, u64::MAX, 0), (4, 7, 0), (16, 9, 0)]);
            assert_eq!(len_of(field.bytes.len()), out.len() - 6);
        }
    }

    #[test]
    fn numbers_take_as_many_bytes_as_is_said() {
        for value in [0, 1, 127, 128, 16_383, 16_384, u64::MAX] {
            let mut out = Vec::new();
            varint(&mut out, value);
            assert_eq!((out.len(), read_varint(&mut &out[..])), (varint_len(value), Some(value)));
        }
    }

    #[test]
    fn what_is_cut_off_ends_the_reading() {
        for broken in [&[0x0a, 5, 1][..], &[0x09, 1], &[0x08, 0x80], &[0x0b], &[0x80; 11]] {
            assert_eq!(fields(broken).count(), 0, "{broken:?}");
        }
    }
}
