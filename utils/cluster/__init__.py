"""What the back ends behind the .pl names share: the jobs that run on a scheduler or over ssh.

config (options -> submit line), folder (job -> files that its tasks read), watch (submit, ask, report, cancel), and one
module per scheduler that knows how to submit, ask and cancel. job_task.py runs on the nodes.
"""
