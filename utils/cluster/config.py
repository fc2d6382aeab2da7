"""A file with Kaldi's command, option and default lines, and options -> the words of the submit line.

command sbatch --account speech      # how the submit line begins
option mem=* --mem $0                # --mem 4G becomes --mem 4G
option gpu=0                         # --gpu 0 becomes nothing
option gpu=* --gres=gpu:$0 -p gpu
default gpu=0                        # what counts without --gpu on the command line
option partition=* -p $0             # any further option of your own
"""

import os
import re
import shlex

from .job_command import fail

# Options that the back ends read themselves: a configuration may describe them, but need not.
READ_BY_BACK_ENDS = ("config", "dry-run", "max-jobs-run", "host", "status-seconds")
# Options that scripts give. Those of a user's own come after them, and so win: schedulers take the last.
USUAL = ("mem", "gpu", "num-threads", "num-nodes", "time", "requeue")


class Config:
    """The submit command, the lines of each option [(value or *, words)], and the defaults."""

    def __init__(self, command, options, defaults, path):
        self.command = command  # ["sbatch", ...]
        self.options = options  # {"mem": [("*", ["--mem", "$0"]), ...]}, dashes in the names
        self.defaults = defaults  # {"gpu": "0"}
        self.path = path  # "" for the built-in one

    def value(self, options, name):
        """What an option is set to, by the command line or by default; "" where it is not."""
        return options.get(name, self.defaults.get(name, ""))

    def words(self, options, left_out=()):
        """The submit line for these options, without the back end's own words."""
        words = list(self.command)
        chosen = [(name, value) for name, value in self.defaults.items() if name not in options]
        chosen += sorted(options.items(), key=lambda option: option[0] not in USUAL)
        for name, value in chosen:
            if name not in READ_BY_BACK_ENDS and name not in left_out:
                words += self.words_of(name, value)
        return words

    def words_of(self, name, value):
        """The words that one option adds."""
        lines = self.options.get(name)
        where = self.path or "the built-in configuration"
        key = name.replace("-", "_")
        if lines is None:
            known = ", ".join("--" + other.replace("_", "-") for other in sorted(self.options))
            fail(f"option --{name} is not described in {where} (known: {known}); add a line like "
                 f"'option {key}=* <option of the scheduler> $0'")  # fmt: skip
        for described in (value, "*"):
            for pattern, words in lines:
                if pattern == described:
                    return [word.replace("$0", value) for word in words]
        return fail(f"option --{name} {value}: {where} has no line 'option {key}=*' or 'option {key}={value}'")


def parse(text, path):
    """The lines of a configuration -> Config; the command is [] where no line gives it."""
    command, options, defaults = [], {}, {}
    for number, line in enumerate(text.splitlines(), 1):
        try:
            words = shlex.split(line, comments=True)
        except ValueError as error:
            fail(f"{path}:{number}: {error}")
        if not words:
            continue
        keyword, setting = words[0], re.match(r"([\w-]+)=(.*)\Z", words[1]) if len(words) > 1 else None
        if keyword == "command" and len(words) > 1:
            command = words[1:]
        elif keyword == "option" and setting:
            options.setdefault(setting.group(1).replace("_", "-"), []).append((setting.group(2), words[2:]))
        elif keyword == "default" and setting and len(words) == 2:
            defaults[setting.group(1).replace("_", "-")] = setting.group(2)
        else:
            fail(f"{path}:{number}: expected 'command <words>', 'option <name>=<value or *> <words>' or "
                 f"'default <name>=<value>', got '{line.strip()}'")  # fmt: skip
    return Config(command, options, defaults, path)


def in_recipe(path):
    """The file itself, or where <recipe>/conf/ lacks it, the one of the template that <recipe>/path.sh links to.

    espnet2/utils/recipe.py says the same of training configs; this program may not import it.
    """
    folder, name = os.path.split(path)
    recipe, folder = os.path.split(folder)
    setup = os.path.join(recipe, "path.sh")
    if os.path.exists(path) or folder != "conf" or not os.path.exists(setup):
        return path
    in_template = os.path.join(os.path.dirname(os.path.realpath(setup)), "conf", name)
    return os.path.relpath(in_template) if os.path.exists(in_template) else path


def load(path, usual_path, built_in):
    """The file of --config, or the usual one where the recipe or its template has it, over the built-in lines: an
    option that the file describes is described by the file alone, and what it does not name stays as built in."""
    config = parse(built_in, "built-in")
    config.path = ""
    file = in_recipe(path or usual_path)
    if not path and not os.path.exists(file):
        return config
    try:
        with open(file, encoding="utf-8") as stream:
            given = parse(stream.read(), file)
    except (OSError, UnicodeDecodeError) as error:
        fail(f"cannot read the configuration {file}: {error}")
    config.options.update(given.options)
    config.defaults.update(given.defaults)
    return Config(given.command or config.command, config.options, config.defaults, file)
