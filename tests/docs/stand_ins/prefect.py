"""What the documents use of Prefect: decorators, bare or with options, that leave a function as it is."""


def task(function=None, **_):
    return function or (lambda function: function)


flow = task
