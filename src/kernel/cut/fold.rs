//! What operations on scalars give: booleans, and integers of 32 bits.

use rspirv::spirv::Op;

/// What is known of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// Nothing yet: no way to it has been found.
    Unknown,
    /// It is this each time; 0 and 1 for booleans.
    Is(u32),
    Varies,
}

impl Value {
    /// What is known of a value that is one of two.
    pub(super) fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unknown, known) | (known, Self::Unknown) => known,
            (Self::Is(a), Self::Is(b)) if a == b => self,
            _ => Self::Varies,
        }
    }
}

/// Whether [`fold`] may know something of a result, given operands of those types.
pub(super) fn folds(op: Op) -> bool {
    apply(op, &[0, 1]).is_some() || apply(op, &[0]).is_some() || matches!(op, Op::Select | Op::CopyObject)
}

/// The result of an operation. What is undefined, such as a division by zero, varies.
pub(super) fn fold(op: Op, operands: &[Value]) -> Value {
    if let (Op::Select, [condition, yes, no]) = (op, operands) {
        return match condition {
            Value::Unknown => Value::Unknown,
            Value::Is(0) => *no,
            Value::Is(_) => *yes,
            Value::Varies => yes.or(*no),
        };
    }
    let absorbs = match op {
        Op::LogicalAnd | Op::BitwiseAnd | Op::IMul => Some(0),
        Op::LogicalOr => Some(1),
        _ => None,
    };
    if let Some(value) = absorbs.map(Value::Is).filter(|value| operands.contains(value)) {
        return value;
    }
    if operands.contains(&Value::Unknown) {
        return Value::Unknown;
    }
    let result = match operands {
        [Value::Is(a)] => apply(op, &[*a]),
        [Value::Is(a), Value::Is(b)] => apply(op, &[*a, *b]),
        _ => None,
    };
    result.map_or(Value::Varies, Value::Is)
}

fn apply(op: Op, operands: &[u32]) -> Option<u32> {
    let signed = |a: u32| a as i32;
    let result = match (op, operands) {
        (Op::LogicalNot, [a]) => u32::from(*a == 0),
        (Op::Not, [a]) => !a,
        (Op::SNegate, [a]) => a.wrapping_neg(),
        (Op::CopyObject | Op::Bitcast, [a]) => *a,
        (Op::LogicalAnd | Op::BitwiseAnd, [a, b]) => a & b,
        (Op::LogicalOr | Op::BitwiseOr, [a, b]) => a | b,
        (Op::BitwiseXor, [a, b]) => a ^ b,
        (Op::LogicalEqual | Op::IEqual, [a, b]) => u32::from(a == b),
        (Op::LogicalNotEqual | Op::INotEqual, [a, b]) => u32::from(a != b),
        (Op::IAdd, [a, b]) => a.wrapping_add(*b),
        (Op::ISub, [a, b]) => a.wrapping_sub(*b),
        (Op::IMul, [a, b]) => a.wrapping_mul(*b),
        (Op::UDiv, [a, b]) => a.checked_div(*b)?,
        (Op::UMod, [a, b]) => a.checked_rem(*b)?,
        (Op::SDiv, [a, b]) => signed(*a).checked_div(signed(*b))? as u32,
        // The shift must be smaller than the width.
        (Op::ShiftLeftLogical, [a, b]) => a.checked_shl(*b)?,
        (Op::ShiftRightLogical, [a, b]) => a.checked_shr(*b)?,
        (Op::ShiftRightArithmetic, [a, b]) => signed(*a).checked_shr(*b)? as u32,
        (Op::ULessThan, [a, b]) => u32::from(a < b),
        (Op::ULessThanEqual, [a, b]) => u32::from(a <= b),
        (Op::UGreaterThan, [a, b]) => u32::from(a > b),
        (Op::UGreaterThanEqual, [a, b]) => u32::from(a >= b),
        (Op::SLessThan, [a, b]) => u32::from(signed(*a) < signed(*b)),
        (Op::SLessThanEqual, [a, b]) => u32::from(signed(*a) <= signed(*b)),
        (Op::SGreaterThan, [a, b]) => u32::from(signed(*a) > signed(*b)),
        (Op::SGreaterThanEqual, [a, b]) => u32::from(signed(*a) >= signed(*b)),
        _ => return None,
    };
    Some(result)
}
