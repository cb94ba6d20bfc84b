"""`smoke`: a deployed stack is checked from end to end, and no phone is rung."""

from voice_gateway_cli.session import Session
from voice_gateway_cli.smoke.run import findings
from voice_gateway_cli.terminal.output import state


def smoke(session: Session) -> int:
    """Check a deployed stack from end to end, and ring no phone. It leaves one message behind, that had expired."""
    out, stack = session.out, session.stack
    if not out.as_json:
        out.line(f"{stack.name}, {stack.where}")
    found = []
    for finding in findings(stack):
        found.append(finding)
        if not out.as_json:
            out.line("  ", state(f"{finding.verdict:<4}"), f"  {finding.text}")
    failed = any(finding.verdict == "FAIL" for finding in found)
    if out.as_json:
        told = [{"verdict": each.verdict, "text": each.text} for each in found]
        out.data({"stack": stack.name, "where": stack.where, "ok": not failed, "findings": told})
    else:
        out.line("something is wrong" if failed else "all is well; no phone was rung")
    return int(failed)
