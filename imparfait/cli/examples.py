"""Two examples of each command, at the end of its --help; a test reads them as commands."""

EXAMPLES = {
    "predict": ("imparfait predict photo.jpg", "imparfait predict scans/ --csv > results.csv"),
    "read": ("imparfait read page.jpg", "imparfait read receipts/ --pattern '\\d+\\.\\d{2}' --json"),
    "serve": ("imparfait serve digits --open", "imparfait serve runs/default-1a2b3c --port 8080 --log access.log"),
    "export": ("imparfait export runs/default-1a2b3c", "imparfait export runs/study-1a2b3c --to keras --out cnn.keras"),
    "check": ("imparfait check my_images", "imparfait check labels.csv --group patient"),
    "train": (
        "imparfait train --data my_images --size 32",
        "imparfait train --recipe quick --init-from digits --data my_digits",
    ),
    "learning-curve": (
        "imparfait learning-curve --data my_images --size 32",
        "imparfait learning-curve --recipe quick --json",
    ),
    "label": (
        "imparfait label new_images --model runs/default-1a2b3c",
        "imparfait label new_images --data my_images --count 100",
    ),
    "evaluate": (
        "imparfait evaluate runs/default-1a2b3c --suite digits",
        "imparfait evaluate model.onnx other.keras --data my_images --split test",
    ),
    "compare": (
        "imparfait compare quick default --data my_images --minutes 30",
        "imparfait compare ours.csv theirs.csv --truth labels.csv",
    ),
    "search": (
        "imparfait search petit --trials 20 --minutes 60",
        "imparfait search default --data my_images --method random --method bayes",
    ),
    "gate": (
        "imparfait gate runs/default-1a2b3c --save baseline.json",
        "imparfait gate new.onnx --against baseline.json --max-drop 0.5 --min shrunk=0.9",
    ),
    "parity": (
        "imparfait parity runs/default-1a2b3c model.onnx photos/",
        "imparfait parity trained.onnx phone.tflite photo.jpg --range 255",
    ),
    "corrupt": (
        "imparfait corrupt rotate fog --severity 0.5 --out sheet.png",
        "imparfait corrupt --dataset folders --severity 0.4 --data my_images",
    ),
    "calibrate-severity": (
        "imparfait calibrate-severity runs/photo-1a2b3c --data my_images",
        "imparfait calibrate-severity model.onnx --data my_images --kept 0.9 --save severities.json",
    ),
    "drift": (
        "imparfait drift access.log --reference runs/default-1a2b3c",
        "imparfait drift access.log access.log.1.gz --since 7d",
    ),
    "fields": ("imparfait fields form.jpg", "imparfait fields form.tif --page 2 --out fields.json"),
    "review": ("imparfait review forms.csv", "imparfait review forms.csv --export corrections"),
    "study": ("imparfait study --quick", "imparfait study --stage 'search cnn' --executor processes"),
    "list": ("imparfait list recipes", "imparfait list corruptions suites --json"),
    "cite": ("imparfait cite > references.bib", "imparfait cite imparfait imagenet-c"),
}


def epilog(command: str) -> str:
    """The examples of a command, as click prints them below its options."""
    return "\n".join(["\b", "Examples:", *(f"  $ {example}" for example in EXAMPLES[command])])
