"""A user's backward judged from the shell, its code in a process of its own.

    the program (verdict.py)        the submission (submission.py)       the judge (verdict.py)
         |  starts                             |                               |
         |------------------------------------>| loads the file and            |
         |   Examined: what it finds itself,   | checks it                     |
         |   and how forward is called         |                               |
         |<------------------------------------|                               |
         |  starts, if anything is called right                                |
         |-------------------------------------------------------------------->| checks it
         |                                     |  Question: a point, dy        | by numbers
         |                                     |<------------------------------| alone
         |                                     |  Answer: output or gradients  |
         |                                     |------------------------------>|
         |<--------------------------------------------------------------------|
         |  what is wrong by the first, what is right by the second

No code of a submission runs in the judge. messages.py is what they say to each other, loading.py
reads files and options, many.py has a line for each of many submissions.
"""
