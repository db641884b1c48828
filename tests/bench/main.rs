//! Measures gate beside yardsticks.
#![expect(clippy::print_stdout, reason = "figures are what this program is for")]
mod packet;

fn main() -> anyhow::Result<()> {
    for figure in packet::figures()? {
        println!("{figure}");
    }
    Ok(())
}
