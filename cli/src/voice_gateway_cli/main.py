"""The commands of ``voice-gateway``, each a function of ``commands/``."""

import sys

import typer

from voice_gateway_cli.commands import credit, dead_letters, find, keys, messages, templates, watch, why
from voice_gateway_cli.commands.address import address
from voice_gateway_cli.commands.smoke import smoke
from voice_gateway_cli.session import command, options_last

app = typer.Typer(
    name="voice-gateway",
    help="See what became of a message and why, and act on it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command("why")(command(why.why))
app.command("find")(command(find.find))
app.command("status")(command(messages.status))
app.command("cancel")(command(messages.cancel))
app.command("send")(command(messages.send))
app.command("resend")(command(messages.resend))
app.command("watch")(command(watch.watch))
app.command("credit")(command(credit.credit))
app.command("smoke")(command(smoke))
app.command("address")(command(address))

catalogue = typer.Typer(help="The catalogue of texts.", no_args_is_help=True)
catalogue.command("list")(command(templates.show))
catalogue.command("check")(command(templates.check))
catalogue.command("push")(command(templates.push))
catalogue.command("pull")(command(templates.pull))
app.add_typer(catalogue, name="templates")

callback_keys = typer.Typer(help="The key that signs callback addresses.", no_args_is_help=True)
callback_keys.command("status")(command(keys.status))
callback_keys.command("rotate")(command(keys.rotate))
app.add_typer(callback_keys, name="keys")

letters = typer.Typer(help="What could not be sent, applied or read: see it, and hand it back.", no_args_is_help=True)
letters.command("list")(command(dead_letters.show_list))
letters.command("show")(command(dead_letters.show))
letters.command("redrive")(command(dead_letters.redrive_them))
letters.command("drop")(command(dead_letters.drop))
app.add_typer(letters, name="dead-letters")


def run() -> None:
    """The command's entry point."""
    sys.argv[1:] = options_last(sys.argv[1:])
    app()
