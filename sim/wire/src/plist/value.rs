//! One value of a property list, whichever format it came in.

use droves_facts::Wall;

/// A value.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    /// Pairs in the order of the file.
    Dict(Dict),
    /// Values in order.
    Array(Vec<Value>),
    /// Text.
    String(String),
    /// A whole number of 64 bits with sign.
    Integer(i64),
    /// A whole number above `i64::MAX`.
    Unsigned(u64),
    /// A number with a fraction.
    Real(f64),
    /// True or false.
    Bool(bool),
    /// A point in time.
    Date(Wall),
    /// Bytes.
    Data(Vec<u8>),
}

impl Value {
    /// The pairs, if it is a dictionary.
    pub fn as_dict(&self) -> Option<&Dict> {
        if let Value::Dict(dict) = self { Some(dict) } else { None }
    }
    /// The values, if it is an array.
    pub fn as_array(&self) -> Option<&[Value]> {
        if let Value::Array(array) = self { Some(array) } else { None }
    }
    /// The text, if it is a string.
    pub fn as_str(&self) -> Option<&str> {
        if let Value::String(text) = self { Some(text) } else { None }
    }
    /// The number, if it is whole and fits.
    pub fn as_i64(&self) -> Option<i64> {
        if let Value::Integer(n) = self { Some(*n) } else { None }
    }
    /// The number, if it is whole and not negative.
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Value::Integer(n) => u64::try_from(*n).ok(),
            Value::Unsigned(n) => Some(*n),
            _ => None,
        }
    }
    /// The number, if it is one.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Real(x) => Some(*x),
            Value::Integer(n) => Some(*n as f64),
            Value::Unsigned(n) => Some(*n as f64),
            _ => None,
        }
    }
    /// True or false, if it is that.
    pub fn as_bool(&self) -> Option<bool> {
        if let Value::Bool(b) = self { Some(*b) } else { None }
    }
    /// The point in time, if it is one.
    pub fn as_date(&self) -> Option<Wall> {
        if let Value::Date(at) = self { Some(*at) } else { None }
    }
    /// The bytes, if it is data.
    pub fn as_data(&self) -> Option<&[u8]> {
        if let Value::Data(bytes) = self { Some(bytes) } else { None }
    }
    /// The value of a key, if it is a dictionary that has it.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.as_dict()?.get(key)
    }
}

/// The pairs of a dictionary, in the order of the file. Of a key that comes twice the last counts, as in
/// CoreFoundation.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Dict(pub Vec<(String, Value)>);

impl Dict {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value)
    }
    /// The text of a key.
    pub fn str(&self, key: &str) -> Option<&str> {
        self.get(key)?.as_str()
    }
    /// The whole number of a key.
    pub fn i64(&self, key: &str) -> Option<i64> {
        self.get(key)?.as_i64()
    }
    /// The truth of a key.
    pub fn bool(&self, key: &str) -> Option<bool> {
        self.get(key)?.as_bool()
    }
    /// The bytes of a key.
    pub fn data(&self, key: &str) -> Option<&[u8]> {
        self.get(key)?.as_data()
    }
    /// The array of a key.
    pub fn array(&self, key: &str) -> Option<&[Value]> {
        self.get(key)?.as_array()
    }
    /// The dictionary of a key.
    pub fn dict(&self, key: &str) -> Option<&Dict> {
        self.get(key)?.as_dict()
    }
    /// The pairs in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }
    /// How many pairs.
    pub fn len(&self) -> usize {
        self.0.len()
    }
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(String, Value)> for Dict {
    fn from_iter<T: IntoIterator<Item = (String, Value)>>(pairs: T) -> Self {
        Dict(pairs.into_iter().collect())
    }
}
