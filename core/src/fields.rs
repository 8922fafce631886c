//! One parsed row of a file, borrowed from the buffer of whoever parsed it.
//!
//! The text of all fields lies end to end in one string, with the end of each field beside it:
//! the layout that `csv-core` writes, so that a row needs no allocation and no copy.

/// The fields of one row: field `i` is `text[ends[i - 1]..ends[i]]`.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a> {
    /// The text of all fields, end to end, unquoted and decoded.
    pub text: &'a str,
    /// Byte position in `text` at which each field ends, ascending.
    pub ends: &'a [usize],
}

impl<'a> Fields<'a> {
    /// Number of fields in this row.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether the row has no field at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The text of field `i`, counted from 0; `None` past the last one.
    #[must_use]
    pub fn get(&self, i: usize) -> Option<&'a str> {
        let end = *self.ends.get(i)?;
        let start = match i {
            0 => 0,
            _ => *self.ends.get(i - 1)?,
        };
        self.text.get(start..end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_cut_at_their_ends() {
        let row = Fields {
            text: "Annaé17",
            ends: &[4, 4, 6, 8],
        };
        assert_eq!(row.len(), 4);
        assert_eq!(row.get(0), Some("Anna"));
        assert_eq!(row.get(1), Some(""));
        assert_eq!(row.get(2), Some("é"));
        assert_eq!(row.get(3), Some("17"));
        assert_eq!(row.get(4), None);
    }

    #[test]
    fn ends_that_do_not_fit_the_text_give_nothing() {
        let row = Fields {
            text: "é",
            ends: &[1, 9],
        };
        assert_eq!(row.get(0), None);
        assert_eq!(row.get(1), None);
    }
}
