//! Comma-separated values (RFC 4180), except that lines end with a line feed alone.

/// Appends a line of fields. A field that holds a comma, a quote or a line's end is quoted.
pub fn write_line<'a>(out: &mut String, fields: impl IntoIterator<Item = &'a str>) {
    for (index, field) in fields.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_field(out, field);
    }
    out.push('\n');
}

/// Appends one field.
pub fn write_field(out: &mut String, field: &str) {
    if field.contains([',', '"', '\n', '\r']) {
        out.push('"');
        out.push_str(&field.replace('"', "\"\""));
        out.push('"');
    } else {
        out.push_str(field);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_what_must_be_quoted() {
        let mut out = String::new();
        write_line(&mut out, ["a", "", "b,c", "say \"hi\"\n"]);
        assert_eq!(out, "a,,\"b,c\",\"say \"\"hi\"\"\n\"\n");
    }
}
