//! The command line of `glyph-operator`.

use clap::Subcommand;

use crate::openapi::ApiFromOpenApi;
use crate::settings::Settings;
use crate::setup::Setup;

/// What the command line asks for: to run the operator, or a [`Command`].
pub type Asked = glyph_runtime::command_line::Asked<Settings, Command>;

/// What can be asked for instead of running.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Prepare what the operator needs, and end.
    Setup(Setup),
    /// Print a GlyphApi that has every operation of an OpenAPI 3 document.
    ///
    /// Endpoints are named by operationId; scopes are those that security names, and `security: []` is public. Costs are
    /// yours to write. To apply it at once: glyph-operator api-from-openapi FILE | kubectl apply -f -
    #[command(name = "api-from-openapi")]
    ApiFromOpenApi(ApiFromOpenApi),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(line: &str) -> Result<Asked, clap::Error> {
        Asked::try_parse_from(line.split(' '))
    }

    #[test]
    fn each_command_is_known_by_the_name_that_its_documentation_gives() {
        let converted = asked("glyph-operator api-from-openapi api.yaml");
        assert!(matches!(
            converted,
            Ok(Asked::Once(Command::ApiFromOpenApi(_)))
        ));
        let set_up = asked("glyph-operator setup cluster --kinds");
        assert!(matches!(set_up, Ok(Asked::Once(Command::Setup(_)))));
        let run = asked("glyph-operator --checkout-success-url=a --checkout-cancel-url=b");
        assert!(matches!(run, Ok(Asked::Run(_))));
    }
}
