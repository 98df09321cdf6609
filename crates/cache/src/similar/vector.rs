//! What a text means, as an embedding model says it: a direction.

use std::sync::Arc;

/// No embedding model has more dimensions; what claims to is no vector.
const MOST_DIMENSIONS: usize = 16_384;

/// So many products are summed side by side, which the compiler makes one instruction of.
const LANES: usize = 16;

/// A direction: numbers whose squares add up to one. Clones share it.
#[derive(Clone, Debug, PartialEq)]
pub struct Vector(Arc<[f32]>);

// === impl Vector ===

impl Vector {
    /// The direction of these numbers; nothing where they have none: no numbers, all zero, or some that are not finite.
    pub fn of(numbers: &[f32]) -> Option<Self> {
        if numbers.is_empty() || numbers.len() > MOST_DIMENSIONS {
            return None;
        }
        // The square of a large f32 is none.
        let length = numbers.iter().map(|number| f64::from(*number).powi(2)).sum::<f64>().sqrt();
        if !length.is_finite() || length == 0.0 {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, reason = "at most one, as exact as the numbers were")]
        let unit = |number: &f32| (f64::from(*number) / length) as f32;
        Some(Self(numbers.iter().map(unit).collect()))
    }

    /// Its numbers.
    pub fn numbers(&self) -> &[f32] {
        &self.0
    }

    /// How many numbers it has.
    pub fn dimensions(&self) -> usize {
        self.0.len()
    }

    /// Its numbers as 32-bit floats, the least significant byte first.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|number| number.to_le_bytes()).collect()
    }
}

/// How alike two directions of as many numbers are: 1 for the same, 0 for unrelated ones, -1 for opposite ones.
pub(super) fn similarity(one: &[f32], other: &[f32]) -> f32 {
    let (ones, others) = (one.chunks_exact(LANES), other.chunks_exact(LANES));
    let rest = ones.remainder().iter().zip(others.remainder());
    let rest: f32 = rest.map(|(one, other)| one * other).sum();
    let mut sums = [0.0_f32; LANES];
    for (ones, others) in ones.zip(others) {
        for ((sum, one), other) in sums.iter_mut().zip(ones).zip(others) {
            *sum += one * other;
        }
    }
    (sums.iter().sum::<f32>() + rest).clamp(-1.0, 1.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn alike(one: &[f32], other: &[f32]) -> Option<f32> {
        Some(similarity(Vector::of(one)?.numbers(), Vector::of(other)?.numbers()))
    }

    #[test]
    fn directions_are_compared_and_lengths_are_not() {
        assert_eq!(alike(&[1.0, 0.0], &[3.0, 0.0]), Some(1.0));
        assert_eq!(alike(&[1.0, 0.0], &[0.0, 5.0]), Some(0.0));
        assert_eq!(alike(&[1.0, 0.0], &[-2.0, 0.0]), Some(-1.0));
        assert_eq!(alike(&[f32::MAX, 0.0], &[1.0, 0.0]), Some(1.0));
    }

    #[test]
    fn what_has_no_direction_is_no_vector() {
        for numbers in [&[] as &[f32], &[0.0, 0.0], &[f32::NAN, 1.0], &[f32::INFINITY]] {
            assert_eq!(Vector::of(numbers), None, "{numbers:?}");
        }
        assert_eq!(Vector::of(&vec![1.0; MOST_DIMENSIONS + 1]), None);
    }

    proptest! {
        #[test]
        fn any_two_are_as_alike_as_their_angle_says(
            pairs in prop::collection::vec((-1000.0_f32..1000.0, -1000.0_f32..1000.0), 1..70),
        ) {
            let (one, other): (Vec<f32>, Vec<f32>) = pairs.iter().copied().unzip();
            let sum = |of: fn(&(f32, f32)) -> f64| pairs.iter().map(of).sum::<f64>();
            let product = sum(|(one, other)| f64::from(*one) * f64::from(*other));
            let lengths = sum(|(one, _)| f64::from(*one).powi(2)).sqrt() * sum(|(_, other)| f64::from(*other).powi(2)).sqrt();
            if let Some(got) = alike(&one, &other) {
                prop_assert!((f64::from(got) - product / lengths).abs() < 1e-4, "{got} {}", product / lengths);
            }
        }
    }
}
