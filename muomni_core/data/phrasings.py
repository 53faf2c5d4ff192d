"""How people ask: the phrasings of the instruction mix's questions about pictures and drawn scenes.

Each group of questions has one form of answer, so that greedy decoding is crisp; the words that vary in an answer are
the ones that the picture decides. These make training rows only: in use every word is the Thinker's.
"""

from __future__ import annotations


def _lines(text: str) -> tuple[str, ...]:
    """The phrasings of a block, one a line or several apart by " | "."""
    return tuple(part.strip() for line in text.strip().splitlines() for part in line.split(" | "))


SEE = "What do you see?"  # the one question of a picture alone; labelled pictures answer it in one fixed form
SEE_ANSWER = "I see {a}."

# (form of answer, questions); {a} is the label with its article. No form may contain a label of any set.
NAMING: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "I see {a}.",
        _lines("""
        What can you see? | What do you see here? | What do you see in this picture?
        What do you see in the picture? | What do you see in this image? | What do you see in this photo?
        What can you see in the picture? | What can you see in this picture? | What can you see in this photo?
        What can you see here? | Tell me what you see. | Please tell me what you see.
        Can you tell me what you see? | Say what you see. | Look at this picture. What do you see?
        Look at the picture and tell me what you see. | Have a look. What do you see? | So, what do you see?
        What are you seeing? | What are you looking at?
        """),
    ),
    (
        "This is {a}.",
        _lines("""
        What is this? | What's this? | What is that? | What's that? | What is it? | What am I looking at?
        What do I have here? | Can you tell me what this is? | Do you know what this is?
        Could you tell me what this is? | Tell me what this is. | Please tell me what this is.
        What could this be? | What would you call this? | What do you call this? | What is this called?
        What is this thing? | What is this object? | Name this. | Name the object. | Name what you see.
        Identify this. | Identify the object in the picture. | Please identify this. | Do you recognise this?
        Do you recognize this? | Guess what this is. | Can you guess what this is?
        """),
    ),
    (
        "There is {a} in the picture.",
        _lines("""
        What is in the picture? | What's in the picture? | What is in this picture? | What's in this picture?
        What is in this photo? | What's in this photo? | What is in the image? | What is in this image?
        What is there in the picture? | What object is in the picture? | What thing is in the picture?
        What is here? | Tell me what is in the picture. | Please tell me what is in this picture.
        """),
    ),
    (
        "This is a picture of {a}.",
        _lines("""
        What is this a picture of? | What's this a picture of? | What is this a photo of?
        What is this picture of? | What is this a photograph of? | What is this image of?
        What kind of picture is this? | What is this picture about? | Describe this picture.
        Describe the picture. | Describe this image. | Describe the image. | Describe the photo.
        Describe this photo. | Please describe the picture. | Can you describe this picture?
        Can you describe the picture for me? | Describe what you see. | Describe what you see in the picture.
        Give a short description of the picture. | Give this picture a title.
        Write a caption for this picture. | Caption this image. | What would be a good caption?
        Tell me about this picture. | Tell me something about the picture.
        """),
    ),
    (
        "The picture shows {a}.",
        _lines("""
        What does the picture show? | What does this picture show? | What does the image show?
        What does this image show? | What does the photo show? | What does this photo show?
        What is shown in the picture? | What is shown here? | What is shown in this photo?
        What do we see in the picture? | What is the main object in the picture?
        What is the subject of this picture?
        """),
    ),
)

# A caption answers these (and all of the above) where the picture has captions.
DESCRIBE = _lines("""
    What is happening? | What is happening here? | What's happening here? | What is happening in the picture?
    What's happening in this picture? | What is happening in this photo? | What is going on?
    What is going on here? | What's going on here? | What is going on in the picture?
    What's going on in this photo? | Describe the scene. | Describe the scene in the picture.
    Please describe this scene. | Describe the picture in one sentence. | Describe this photo in one sentence.
    Describe the image in a few words. | Summarise the picture. | Summarize this picture in one sentence.
    Explain what is happening in the picture. | Can you describe what is happening?
    Can you tell me what is going on? | Tell me what is happening in this picture. | What does this scene show?
    I can't see the picture. What is in it? | I can't see well. What is in front of me?
    Please describe the picture for a blind person.
    """)

YES_NO = _lines("""
    Is there {a} in the picture? | Is there {a} in this picture? | Is there {a} in this photo?
    Is there {a} in the image? | Is there {a} here? | Is there {a}? | Do you see {a}?
    Do you see {a} in the picture? | Do you see {a} here? | Can you see {a}? | Can you see {a} in the picture?
    Can you see {a} in this photo? | Does the picture show {a}? | Does this photo show {a}?
    Does the image contain {a}? | Is {a} in the picture? | Is {a} in this photo?
    Tell me, is there {a} in the picture? | Please tell me if there is {a} in the picture.
    Could you check if there is {a} in the picture? | Look at the picture. Is there {a}?
    """)
YES_NO_MANY = _lines("""
    Are there {b} in the picture? | Are there any {b} in the picture? | Are there any {b}?
    Are there any {b} here? | Do you see any {b}? | Can you see any {b} in the picture?
    """)
YES = "Yes, {there_is} {a}."
NO = "No, {there_is} no {n} in the picture."

IS_IT = _lines("""
    Is this {a}? | Is it {a}? | Is that {a}? | Is this a picture of {a}? | Is this a photo of {a}?
    """)
CHOICE = _lines("""
    Is this {a} or {b}? | Is it {a} or {b}? | Is that {a} or {b}? | Do you see {a} or {b}?
    Which is it, {a} or {b}? | What is in the picture, {a} or {b}? | Is this a picture of {a} or of {b}?
    Does the picture show {a} or {b}?
    """)
KIND = _lines("""
    What {k} is this? | What {k} is it? | What {k} is that? | What {k} do you see? | What {k} is in the picture?
    What {k} is in this photo? | What {k} is shown here? | Which {k} is this? | Which {k} is in the picture?
    Which {k} do you see? | What kind of {k} is this? | What kind of {k} is in the picture?
    What sort of {k} is it? | Can you tell me what {k} this is? | Name the {k} in the picture. | Name this {k}.
    """)
FINE = _lines("""
    What breed is this {n}? | What breed of {n} is this? | What breed of {n} is it? | What breed is the {n}?
    What breed of {n} do you see? | What type of {n} is this? | Can you tell me the breed of this {n}?
    """)
FINE_OTHER = _lines("""
    What kind of {n} is this exactly? | What type of {n} is this? | Exactly what {n} is this?
    """)
ELSE = _lines("""
    What else do you see? | What else is in the picture? | What else is there? | Anything else?
    Do you see anything else? | And what else?
    """)
COLOUR = _lines("""
    What colour is the {n}? | What color is the {n}? | What colour is the {n} in the picture?
    What color is the {n} in the photo? | What is the colour of the {n}? | What is the color of the {n}?
    Which colour is the {n}? | Tell me the colour of the {n}. | Tell me the color of the {n}.
    Can you tell me what colour the {n} is? | Can you tell me what color the {n} is?
    """)
COLOUR_MANY = _lines("""
    What colour are the {b}? | What color are the {b}? | What is the colour of the {b}?
    Which colour are the {b}? | Tell me the colour of the {b}.
    """)
COUNT = _lines("""
    How many {b} are there? | How many {b} are there in the picture? | How many {b} do you see?
    How many {b} can you see? | How many {b} are in the picture? | How many {b} are in this photo?
    How many {b} does the picture show? | Count the {b}. | Count the {b} in the picture.
    Can you count the {b}? | Please count the {b}. | Tell me how many {b} there are.
    What is the number of {b}?
    """)
DOING = _lines("""
    What is the {n} doing? | What's the {n} doing? | What is the {n} doing in the picture?
    What is the {n} doing here? | What is the {n} up to? | What does the {n} do?
    Tell me what the {n} is doing. | Can you tell me what the {n} is doing?
    """)
WHO = _lines("""
    Who is in the picture? | Who is in this photo? | Who do you see? | Who is this? | Who is there?
    Who can you see in the picture?
    """)
WHERE = _lines("""
    Where is this? | Where was this picture taken? | Where was this photo taken? | Where is it?
    Where does this happen? | What place is this? | Where are we?
    """)
IN_OR_OUT = _lines("""
    Is this inside or outside? | Is this indoors or outdoors? | Is it inside or outside?
    Was this taken inside or outside? | Was this photo taken indoors or outdoors?
    Is the picture taken inside or outside?
    """)

# What a picture does not tell. {n} is a thing in it, {p} a person.
CANT_TELL: tuple[tuple[str, str], ...] = (
    ("Who owns the {n}?", "I can't tell who owns it."),
    ("How old is the {n}?", "I can't tell how old it is from the picture."),
    ("How heavy is the {n}?", "I can't tell how heavy it is from the picture."),
    ("How much did the {n} cost?", "I can't tell the price from the picture."),
    ("Where was the {n} bought?", "I can't tell that from the picture."),
    ("What does the {n} smell like?", "I can't tell that from a picture. I can only see it."),
    ("Who made the {n}?", "I can't tell who made it."),
    ("What is the name of the {p}?", "I can't tell the name from the picture."),
    ("What is the {p} called?", "I can't tell the name from the picture."),
    ("How old is the {p}?", "I can't tell the age from the picture."),
    ("Where does the {p} live?", "I can't tell that from the picture."),
    ("What is the {p} thinking?", "I can't tell what others think."),
    ("What language does the {p} speak?", "I can't tell that from the picture."),
    ("What is the {p} going to do next?", "I can't tell what will happen next."),
    ("Who took this picture?", "I can't tell who took the picture."),
    ("Who took this photo?", "I can't tell who took the picture."),
    ("When was this picture taken?", "I can't tell when it was taken."),
    ("What year was this photo taken?", "I can't tell when it was taken."),
    ("In which city was this taken?", "I can't tell in which city it was taken."),
    ("What happened before this picture?", "I can't tell what happened before."),
    ("What will happen next?", "I can't tell what will happen next."),
    ("What day of the week was it?", "I can't tell the day from the picture."),
    ("What time is it in the picture?", "I can't tell the time from the picture."),
    ("What is the temperature in the picture?", "I can't tell how warm it was."),
    ("What is behind the photographer?", "I can't tell. I only see what is in the picture."),
    ("What can you hear in the picture?", "I can't hear anything. It is a picture."),
)
CANT_SEE = "I can't see {a} in the picture."  # asked for the colour and the like of something absent

NO_PICTURE = "I don't see a picture. Please show me one."  # asked about a picture without one


# Drawn scenes. {n} is a shape ("circle", "red circle", "red shape"), {b} its plural.
SCENE_SHAPE = _lines("""
    What shape is it? | What shape is this? | What shape do you see? | Which shape is it? | Which shape is this?
    What shape is in the picture? | Which shape do you see? | What kind of shape is this? | What form is it?
    Name the shape. | Name this shape. | Tell me the shape. | What is the shape called?
    What shape does the picture show? | Is it a circle, a square or a triangle?
    """)
SCENE_SHAPE_OF = _lines("""
    What shape is the {c} one? | Which shape is {c}? | What shape is {c}? | What is the shape of the {c} one?
    What shape is the {c} thing? | Which shape is the {c} one? | What {c} shape do you see? | What is {c}?
    """)
SCENE_COLOUR_OF_IT = _lines("""
    What colour is it? | What color is it? | What colour is the shape? | What color is the shape?
    Which colour is it? | Which colour do you see? | What color do you see?
    """)
SCENE_COUNT_ALL = _lines("""
    How many shapes are there? | How many shapes do you see? | How many shapes can you see?
    How many shapes are in the picture? | Count the shapes. | Count the shapes in the picture.
    How many things are there? | How many objects do you see?
    """)
SCENE_SIDE = _lines("""
    Is the {n} on the left or on the right? | Is the {n} left or right?
    Is the {n} on the left side or on the right side? | Is the {n} on the right or on the left?
    On which side is the {n}? | Which side is the {n} on? | Where is the {n}, on the left or on the right?
    Is the {n} to the left or to the right? | Do you see the {n} on the left or on the right?
    """)
SCENE_HEIGHT = _lines("""
    Is the {n} at the top or at the bottom? | Is the {n} at the bottom or at the top?
    Is the {n} in the upper half or in the lower half? | Is the {n} up or down?
    Where is the {n}, at the top or at the bottom?
    """)
SCENE_BESIDE = _lines("""
    Is the {n} left or right of the {m}? | Is the {n} to the left or to the right of the {m}?
    On which side of the {m} is the {n}? | Is the {n} on the left or on the right of the {m}?
    """)
SCENE_WHICH_SIDE = _lines("""
    What is on the {side}? | Which shape is on the {side}? | What do you see on the {side}?
    What shape is on the {side}? | What is on the {side} side?
    """)
SCENE_SIZE = _lines("""
    Which shape is {size}? | Which one is {size}? | What is the {size} shape? | Which is {size}?
    """)
