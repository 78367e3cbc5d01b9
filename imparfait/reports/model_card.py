"""The model card of a run: README.md, with the front matter that Hugging Face reads."""

from pathlib import Path

from imparfait.core.names import as_markdown, as_yaml
from imparfait.evaluation.scores import Scores
from imparfait.reports.text import SCORES_HEADINGS, scores_rows
from imparfait.training.run import Run

CARD = """---
library_name: imparfait
pipeline_tag: image-classification
tags: [imparfait, robustness]
model-index:
- name: {quoted}
  results:
{results}
---

# {title}

An image classifier trained by imparfait on {images:,} images of {data}, for the classes {classes}.

{table}

{conditions}

## Use

```python
import imparfait

classifier = imparfait.load_classifier({literal})  # float32 [n, channels, height, width] in 0..1 -> logits
```

## Settings

{settings}{backbone}

## Files

- `model.safetensors`, `config.json`: the weights; the network, its input and its classes
- `settings.json`, `environment.json`: settings and training images; machine and versions
- `epochs.csv`: loss and accuracy by epoch; `scores.json`: counts; `predictions.csv`: every prediction
- `reference.json`: properties and predictions of validation images, for `imparfait drift`
- `report.html`: all of it on one page
"""


def write_card(folder: Path, run: Run, scores: Scores, conditions: str) -> None:
    """Write README.md; `conditions` says on which images and how the scores were measured."""
    rows = [SCORES_HEADINGS, ["---"] * len(SCORES_HEADINGS), *scores_rows(scores)]
    results = "\n".join(
        f"  - task: {{type: image-classification}}\n"
        f"    dataset: {{type: {as_yaml(run.data.name)}, name: {as_yaml(f'{run.data.name}, {score.corruption}')}}}\n"
        f"    metrics: [{{type: accuracy, value: {score.accuracy:.4f}}}]"
        for score in scores.scores
    )
    card = CARD.format(
        quoted=as_yaml(run.name),
        title=as_markdown(run.name),
        literal=as_yaml(run.name),
        results=results,
        images=len(run.data),
        data=as_markdown(run.data.name),
        classes=as_markdown(", ".join(run.data.classes)),
        table="\n".join(f"| {' | '.join(row)} |" for row in rows),
        conditions=as_markdown(conditions),
        settings="\n".join(f"- {name}: {as_markdown(str(value))}" for name, value in run.settings.model_dump().items()),
        backbone=f"\n- backbone: pretrained weights of {run.backbone.name} ({run.backbone.licence})"
        if run.backbone
        else "",
    )
    (folder / "README.md").write_text(card, encoding="utf-8")
