//! JSON values that are taken more strictly than serde takes them by itself.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Unexpected, Visitor};

/// A list of at most `MOST`. Reading ends at the first that is too many, so the complaint has its place.
pub struct AtMost<const MOST: usize, T>(pub Vec<T>);

/// What a list may hold.
pub trait Listed {
    /// Some of them, for messages.
    const NAME: &str;
}

impl<const MOST: usize, T> Default for AtMost<MOST, T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, const MOST: usize, T: Listed + Deserialize<'de>> Deserialize<'de> for AtMost<MOST, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(AtMostVisitor(PhantomData))
    }
}

struct AtMostVisitor<const MOST: usize, T>(PhantomData<T>);

impl<'de, const MOST: usize, T: Listed + Deserialize<'de>> Visitor<'de> for AtMostVisitor<MOST, T> {
    type Value = AtMost<MOST, T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {MOST} {}", T::NAME)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = seq.next_element()? {
            if list.len() == MOST {
                return Err(A::Error::invalid_length(MOST + 1, &self));
            }
            list.push(element);
        }
        Ok(AtMost(list))
    }
}

/// A JSON object. Left to itself, serde takes an array of its values for it as well.
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}

/// What a file names, or gives the number of.
pub trait Named: Sized {
    /// Both, for messages.
    const EXPECTED: &str;
    /// What a name stands for; an error that names what there is.
    fn named(name: &str) -> Result<Self, String>;
    fn numbered(number: u32) -> Self;
}

/// A [`Named`], as it stands in a file.
pub struct NameOrNumber<T>(pub T);

impl<'de, T: Named> Deserialize<'de> for NameOrNumber<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NameOrNumberVisitor(PhantomData)).map(NameOrNumber)
    }
}

struct NameOrNumberVisitor<T>(PhantomData<T>);

impl<T: Named> Visitor<'_> for NameOrNumberVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<T, E> {
        T::named(name).map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<T, E> {
        u32::try_from(value)
            .map(T::numbered)
            .map_err(|_| E::invalid_value(Unexpected::Unsigned(value), &self))
    }
}
