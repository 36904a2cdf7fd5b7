"""Every form by name."""

from __future__ import annotations

from evalharness.scaling.chinchilla import Chinchilla
from evalharness.scaling.forms import Form
from evalharness.scaling.kaplan import KaplanJoint, PowerLaw

FORMS: dict[str, Form] = {
    form.name: form
    for form in (Chinchilla(), KaplanJoint(), PowerLaw("parameters"), PowerLaw("tokens"), PowerLaw("compute"))
}
"""In the order of reports."""
