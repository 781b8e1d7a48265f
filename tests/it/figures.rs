//! What the long tests have to tell in numbers, kept until `./test` prints it at its end: a test that
//! passes is silent.

use std::path::Path;

/// Tells it, and keeps it under a name of its own.
pub(crate) fn tell(name: &str, text: &str) {
    #[expect(clippy::print_stdout, reason = "for whoever runs the test alone")]
    {
        println!("{text}");
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/figures");
    // Figures that cannot be kept are no reason to fail.
    _ = std::fs::create_dir_all(&folder);
    _ = std::fs::write(folder.join(format!("{name}.txt")), format!("{text}\n"));
}
