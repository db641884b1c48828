//! Every unsafe block says why it is sound, on the lines above it.

use super::{Finding, source::Source};

/// How far above a block its statement may begin.
const STATEMENT: usize = 8;

pub(super) fn safety_comment(source: &Source) -> Vec<Finding> {
    let unsafe_lines =
        (0..source.lines.len()).filter(|index| is_unsafe(&source.lines[*index].code));
    let silent = unsafe_lines.filter(|index| !says_why(source, *index));
    silent
        .map(|index| {
            let text = "unsafe code without `SAFETY:`";
            source.breach(index, "unsafe", text, "say above it what makes it sound")
        })
        .collect()
}

fn is_unsafe(code: &str) -> bool {
    let code = code.trim();
    ["unsafe {", "unsafe impl", "unsafe fn", "unsafe extern"]
        .iter()
        .any(|form| {
            code.match_indices(form)
                .any(|(at, _)| !code[..at].ends_with(super::source::is_word))
        })
        && !code.contains("unsafe_op_in")
}

/// Walks up from the block, through its statement and the comment above it.
fn says_why(source: &Source, index: usize) -> bool {
    for (distance, line) in source.lines[..=index].iter().rev().enumerate() {
        if line.comment.contains("SAFETY:") || line.comment.contains("# Safety") {
            return true;
        }
        let code = line.code.trim();
        let is_comment = code.is_empty() && !line.comment.is_empty();
        let is_attribute = code.starts_with("#[");
        let ends_before = distance > 0 && code.ends_with([';', '{', '}']);
        let blank = code.is_empty() && !is_comment;
        if ends_before || blank || (distance > STATEMENT && !is_comment && !is_attribute) {
            return false;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::{super::tests::source, *};

    fn count(text: &str) -> usize {
        safety_comment(&source("a.rs", text)).len()
    }

    #[test]
    fn silent_unsafe_code_is_found() {
        assert_eq!(count("let a = unsafe { b() };"), 1);
        assert_eq!(count("unsafe impl Send for A {}"), 1);
        assert_eq!(
            count("// SAFETY: for a\nlet a = unsafe { b() };\nlet c = unsafe { d() };"),
            1
        );
        assert_eq!(count("// SAFETY: too far\n\nlet a = unsafe { b() };"), 1);
    }

    #[test]
    fn explained_unsafe_code_is_not_found() {
        assert_eq!(
            count("// SAFETY: the pointer is in bounds.\nlet a = unsafe { b() };"),
            0
        );
        assert_eq!(
            count("// SAFETY: a,\n// and b.\n#[cold]\nlet a =\n    c(unsafe { b() });"),
            0
        );
        assert_eq!(
            count("/// # Safety\n/// The caller checks.\npub unsafe fn a() {}"),
            0
        );
        assert_eq!(count("#[unsafe(no_mangle)]\nfn a() {} // not unsafe {"), 0);
    }
}
