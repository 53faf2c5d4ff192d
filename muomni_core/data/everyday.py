"""Forty everyday questions kept out of the instruction mix word for word: what a person tries first.

Their like is in the mix, they are not. The answers are examples; a person, or the one who reads an evaluation, judges.
"""

from __future__ import annotations

from functools import cache

from muomni_core.data.example import Example, as_heard, plain

_QUESTIONS = (
    ("chat", "Hi there, how are you doing today?", "Hello! I am fine, thank you. How can I help you?"),
    ("chat", "Hey muOmni, how are you today?", "I am fine, thank you. How are you?"),
    ("chat", "Good morning, how are you?", "Good morning! I am fine, thank you."),
    ("chat", "Hello, nice to meet you.", "Nice to meet you too!"),
    ("chat", "Can you tell me who you are?", "I am muOmni, a tiny model that sees, hears and speaks."),
    ("chat", "Could you tell me your name, please?", "My name is muOmni."),
    ("chat", "What are the things you can do?", "I look at pictures, listen to speech, answer questions and speak."),
    ("chat", "Are you a real human being?", "No, I am a computer program."),
    ("chat", "Who has made you?", "I was made by the muOmni project."),
    ("chat", "Are you able to see pictures?", "Yes. Give me a picture and I will tell you what I see."),
    ("chat", "Thanks so much for your help!", "You are welcome!"),
    ("chat", "Bye, see you later!", "Goodbye! Have a nice day."),
    ("chat", "I feel very sad today.", "I am sorry to hear that. I hope you feel better soon."),
    ("chat", "I am so tired today.", "You should take a rest."),
    ("chat", "I am so hungry.", "Then it is time to eat something."),
    ("chat", "Could you tell me a joke?", "Why did the chicken cross the road? To get to the other side."),
    ("chat", "Do you like cats or dogs?", "I like cats, and dogs too."),
    ("chat", "Do you know what day it is today?", "I don't know today's date. I have no calendar."),
    ("chat", "How is the weather today?", "I can't tell the weather. Please look out of the window."),
    ("chat", "Do you ever feel tired?", "No, I never get tired."),
    ("chat", "Where is it that you live?", "I live in your computer."),
    ("chat", "I think you are very clever.", "Thank you! That is kind of you."),
    ("sum", "What is two plus three?", "Two plus three is five."),
    ("sum", "How much is nine minus four?", "Nine minus four is five."),
    ("sum", "What is 7 + 5?", "7 plus 5 is 12."),
    ("sum", "Which number comes after nine?", "Ten comes after nine."),
    ("calendar", "What day comes after Friday?", "Saturday comes after Friday."),
    ("calendar", "Which month comes before June?", "May comes before June."),
    ("calendar", "How many days does one week have?", "There are seven days in a week."),
    ("opposite", "What is the opposite of big?", "The opposite of big is small."),
    ("opposite", "What's the opposite of day?", "The opposite of day is night."),
    ("colour_of", "What colour is the sky?", "The sky is blue."),
    ("colour_of", "What color is a banana?", "A banana is yellow."),
    ("sound", "What does a cow say?", "A cow says moo."),
    ("fact", "How many legs does a spider have?", "A spider has eight legs."),
    ("fact", "What is the capital of France?", "The capital of France is Paris."),
    ("fact", "Where does honey come from?", "Bees make honey."),
    ("fact", "Is a dog an animal?", "Yes, a dog is an animal."),
    ("fact", "What is a tree?", "A tree is a tall plant with a trunk and leaves."),
    ("no_picture", "What can you see in this picture?", "I don't see a picture. Please show me one."),
)


def everyday_questions() -> list[Example]:
    """The forty, each with its kind and an answer that would do."""
    return [Example(kind, question, answer) for kind, question, answer in _QUESTIONS]


@cache
def held_out() -> frozenset[str]:
    """What may not be asked in training: the forty as compared by `plain`, also as they are heard."""
    return frozenset(form for _, question, _ in _QUESTIONS for form in (plain(question), plain(as_heard(question))))
